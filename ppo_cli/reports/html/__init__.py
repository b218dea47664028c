"""The HTML page: template, style sheet, script, and the code that fills them."""
