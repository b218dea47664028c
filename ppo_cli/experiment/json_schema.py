"""The JSON Schema of a config file, by which an editor completes keys, explains them and underlines mistakes.

A config with a `base` need not give what is required. The schema knows single values, not contradictions between keys
(`cross_checks`).

Not here: the schema itself (`schema`, `term_types`), where the file is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from ppo_cli.experiment.config_files import BASE
from ppo_cli.experiment.measure_types import NOT_OF_A_MEASURE
from ppo_cli.experiment.schema import MEASURE_NAME, TERM_NAME, Experiment
from ppo_cli.experiment.schema_index import ANY_NAME, MEASURES, TERMS, TYPES, schema_keys
from ppo_cli.experiment.term_types import Python

BASE_DOC = "A config whose values count where this one gives none; relative to this file."
TITLE = "An experiment of ppo-cli"
TEXT_REFERENCE = {
    "pattern": r"\$\{",
    "patternErrorMessage": "A text in this place must refer to another key, as ${kl.coef}.",
}
"""What a text has to look like where another type is expected (Visual Studio Code shows the message)."""
GROUPS = {TERMS: ("Reward", "AnyTerm", TERM_NAME, 1), MEASURES: ("Evaluation", "AnyMeasure", MEASURE_NAME, 0)}
"""Of each group of names: the definition that holds it, that of one of its items, its names, how many it needs."""


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
    for path, (holder, any_one, _, _) in GROUPS.items():
        for model in TYPES[path].values():
            properties = definitions[model.__name__]["properties"]
            properties["type"]["description"] = schema_keys()[f"{path}.{ANY_NAME}.type"].doc
            if issubclass(model, Python):
                any_value = {"type": ["string", "number", "boolean", "null", "array"]}
                definitions[model.__name__]["additionalProperties"] = any_value
            for name in NOT_OF_A_MEASURE if path == MEASURES else ():
                del properties[name]
        definitions[any_one] = _by_type(path)
        of_holder, name = definitions[holder]["properties"], path.rpartition(".")[2]
        of_holder[name] = {"description": of_holder[name]["description"], **_names(path)}
    properties = {**schema["properties"], BASE: {"type": "string", "description": BASE_DOC}}
    whole = _whole([*schema.pop("required"), "reward"], properties, definitions)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "title": TITLE,
        "properties": properties,
        "if": {"not": {"required": [BASE]}},
        "then": whole,
        "$defs": definitions,
    }


def schema_text() -> str:
    """The same as the text of a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _whole(required: Sequence[str], properties: Mapping[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a config must give that builds on no other file; taken out of the definitions of the groups."""
    of_group = {name: group.pop("required", []) for name, group in definitions.items()}
    sections: dict[str, Any] = {}
    for name, value in properties.items():
        needed = of_group.get(str(value.get("$ref", "")).rpartition("/")[2])
        if needed:
            sections[name] = {"required": needed}
    for path, (_, any_one, _, count) in GROUPS.items():
        models = {name: of_group[model.__name__] for name, model in TYPES[path].items()}
        definitions[f"Whole{any_one}"] = {
            "allOf": [
                {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": {"required": needed}}
                for name, needed in models.items()
            ]
        }
        by_type = {"$ref": f"#/$defs/Whole{any_one}"}
        section, group = path.split(".")
        inner = sections.setdefault(section, {}).setdefault("properties", {})
        inner[group] = {
            "minProperties": count,
            "properties": {
                name: {"if": {"required": ["type"]}, "then": by_type, "else": {"required": needed}}
                for name, needed in models.items()
            },
            "additionalProperties": {"allOf": [by_type, {"required": ["type"]}]},
        }
    return {"required": required, "properties": sections}


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


def _names(path: str) -> dict[str, Any]:
    _, any_one, pattern, _ = GROUPS[path]
    by_type = {"$ref": f"#/$defs/{any_one}"}
    return {
        "type": "object",
        "propertyNames": {"pattern": pattern},
        "properties": {
            name: _unless_null(
                {"if": {"required": ["type"]}, "then": by_type, "else": {"$ref": f"#/$defs/{model.__name__}"}}
            )
            for name, model in TYPES[path].items()
        },
        "additionalProperties": _unless_null(by_type),
    }


def _unless_null(value: dict[str, Any]) -> dict[str, Any]:
    """What a term must be that does not take out the one of the same name in the file below."""
    return {"if": {"type": "null"}, "else": value}


def _by_type(path: str) -> dict[str, Any]:
    doc = schema_keys()[f"{path}.{ANY_NAME}.type"].doc
    return {
        "type": "object",
        "properties": {"type": {"enum": list(TYPES[path]), "description": doc}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{model.__name__}"},
            }
            for name, model in TYPES[path].items()
        ],
    }
