"""The JSON Schema of a config file, by which an editor completes keys, explains them and underlines mistakes.

It knows single values, not contradictions between keys (`cross_checks`).

Not here: the schema itself (`schema`, `term_types`), where the file is written.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ppo_cli.experiment.schema import TERM_NAME, Experiment
from ppo_cli.experiment.schema_index import schema_keys
from ppo_cli.experiment.term_types import TERM_TYPES, Python

TITLE = "An experiment of ppo-cli"
TEXT_REFERENCE = {
    "pattern": r"\$\{",
    "patternErrorMessage": "A text in this place must refer to another key, as ${kl.coef}.",
}
"""What a text has to look like where another type is expected (Visual Studio Code shows the message)."""
ANY_TERM = "AnyTerm"


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of key names, as `Max new tokens`."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's signature
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a config file.

    A reward term is checked by its `type`, or, where it has none, by the type that it is named for.
    """
    schema = Experiment.model_json_schema(schema_generator=_WithoutFieldTitles)
    definitions: dict[str, Any] = schema.pop("$defs")
    for group in (schema, *definitions.values()):
        group["properties"] = {name: _may_refer(value) for name, value in group["properties"].items()}
    for model in TERM_TYPES.values():
        definitions[model.__name__]["properties"]["type"]["description"] = schema_keys()["reward.terms.*.type"].doc
    definitions[Python.__name__]["additionalProperties"] = {"type": ["string", "number", "boolean", "null", "array"]}
    definitions[ANY_TERM] = _term_by_type()
    terms = definitions["Reward"]["properties"]["terms"]
    definitions["Reward"]["properties"]["terms"] = {"description": terms["description"], **_terms()}
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "title": TITLE,
        "required": [*schema["required"], "reward"],
        "$defs": definitions,
    }


def schema_text() -> str:
    """The same as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _may_refer(value: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value, or of a reference in its place."""
    if "anyOf" in value:  # X or null
        inner = [one for one in value["anyOf"] if one.get("type") != "null"]
        rest = {name: one for name, one in value.items() if name != "anyOf"}
        if len(inner) == 1 and "type" in inner[0]:
            return _may_refer({**rest, **inner[0], "type": [inner[0]["type"], "null"]})
        return value
    if "$ref" in value or "const" in value or "type" not in value or value["type"] == "object":
        return value
    if "enum" in value:
        about: dict[str, Any] = {name: value[name] for name in ("description", "default") if name in value}
        return {**about, "anyOf": [{"enum": value["enum"]}, {"type": "string", **TEXT_REFERENCE}]}
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return value if "string" in types else {**value, "type": [*types, "string"], **TEXT_REFERENCE}


def _terms() -> dict[str, Any]:
    by_type = {"$ref": f"#/$defs/{ANY_TERM}"}
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": TERM_NAME},
        "properties": {
            name: {"if": {"required": ["type"]}, "then": by_type, "else": {"$ref": f"#/$defs/{model.__name__}"}}
            for name, model in TERM_TYPES.items()
        },
        "additionalProperties": {"allOf": [by_type, {"required": ["type"]}]},
    }


def _term_by_type() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"enum": list(TERM_TYPES), "description": schema_keys()["reward.terms.*.type"].doc}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{model.__name__}"},
            }
            for name, model in TERM_TYPES.items()
        ],
    }
