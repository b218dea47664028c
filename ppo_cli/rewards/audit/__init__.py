"""The reward audit: is it sound, what does it lean on, and does a cheap trick earn more than honest answers?"""
