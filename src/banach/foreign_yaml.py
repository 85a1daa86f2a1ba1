"""Untrusted YAML, read to plain values; apart from `banach.foreign`, since only configs are YAML."""

from typing import Any

import yaml

from banach.foreign import SMALL, Unreadable

_NESTED = 16


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice (PyYAML takes the last in silence)."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict | set) or key in seen:
            said = "no word" if isinstance(key, list | dict | set) else "given twice"
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is {said}", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(text: str) -> Any:
    """The plain values of a YAML text; `Unreadable`, ", line 2: not YAML: …", for all else.

    Anchors, aliases and tags are refused: a few lines of them can stand for more than memory holds.
    """
    if len(text) > SMALL:
        raise Unreadable(f": longer than {SMALL:,} characters")
    try:
        _check_tokens(text)
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Unreadable(f"{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise Unreadable(f": not YAML: {' '.join(str(error).split())}") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unreadable(f": not YAML: an invalid date or number ({str(error)[:80]})") from None


def _check_tokens(text: str) -> None:
    depth = 0
    for token in yaml.scan(text, yaml.SafeLoader):
        opens = isinstance(
            token,
            yaml.FlowSequenceStartToken
            | yaml.FlowMappingStartToken
            | yaml.BlockSequenceStartToken
            | yaml.BlockMappingStartToken,
        )
        closes = isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken | yaml.BlockEndToken)
        depth += opens - closes
        refused = isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken)
        if refused or depth > _NESTED:
            said = "anchors, aliases and tags are not read" if refused else "it is nested too deeply"
            raise yaml.MarkedYAMLError(problem=said, problem_mark=token.start_mark)
