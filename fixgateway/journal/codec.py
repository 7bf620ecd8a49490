"""Core inputs and outputs as JSON, and back without loss.

An input is ``["TypeName",{fields}]`` without ``seq`` and ``ts_ns``, which are the record's own. Outputs are
``{"in":seq,"out":[["TypeName",{fields}],…]}``. Decimals are strings with their digits kept, dates ISO,
fields in the order of the class, so equal values are equal bytes and replay may compare either.
"""

from __future__ import annotations

import json
from dataclasses import fields
from operator import attrgetter
from typing import Any, get_args

import msgspec

from fixgateway.core.inputs import Input
from fixgateway.core.outputs import Output
from fixgateway.errors import JournalError

INPUT_TYPES: dict[str, type[Input]] = {cls.__name__: cls for cls in get_args(Input)}
OUTPUT_TYPES: dict[str, type[Output]] = {cls.__name__: cls for cls in get_args(Output)}

_FROM_RECORD = ("seq", "ts_ns")
_encoder = msgspec.json.Encoder()


def _own_fields(cls: type[Input]) -> tuple[str, ...]:
    """The fields of an input that stand in its payload."""
    return tuple(field.name for field in fields(cls) if field.name not in _FROM_RECORD)


_INPUT_FIELDS = {name: _own_fields(cls) for name, cls in INPUT_TYPES.items()}
# The two constants make every getter return a tuple, whatever the number of fields.
_INPUT_VALUES = {name: attrgetter(*own, *_FROM_RECORD) for name, own in _INPUT_FIELDS.items()}
_KNOWN_FIELDS = {
    cls: frozenset(field.name for field in fields(cls)) for cls in (*INPUT_TYPES.values(), *OUTPUT_TYPES.values())
}


def _encode(value: object) -> bytes:
    """JSON of ``value``. Text that was not UTF-8 on the wire (lone surrogates) is written as escapes."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def _decode(payload: bytes) -> Any:
    """JSON as plain values. Raises JournalError when it is none."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:  # msgspec refuses the escaped lone surrogates that _encode writes
            return json.loads(payload)
        except ValueError as error:
            raise JournalError(f"payload is not JSON: {error}; it starts {payload[:60]!r}") from None


def _build(types: dict[str, Any], pair: object, extra: dict[str, int]) -> Any:
    """The value a ``[TypeName, fields]`` pair stands for."""
    match pair:
        case [str(name), dict(values)]:
            pass
        case _:
            raise JournalError(f'expected ["TypeName",{{…}}], found {str(pair)[:60]!r}')
    cls = types.get(name)
    if cls is None:
        raise JournalError(f"unknown type {name!r}; read this journal with the fixgateway version that wrote it")
    unknown = values.keys() - _KNOWN_FIELDS[cls]
    if unknown:
        raise JournalError(
            f"{name} has unknown fields {', '.join(sorted(unknown))}; read this journal with the fixgateway "
            "version that wrote it"
        )
    try:
        return msgspec.convert(values | extra, cls)
    except msgspec.ValidationError as error:
        raise JournalError(f"{name} cannot be read: {error}") from None


def encode_input(value: Input) -> bytes:
    """Payload of a ``control`` record for ``value``; its ``seq`` and ``ts_ns`` are the record's."""
    name = type(value).__name__
    return _encode([name, dict(zip(_INPUT_FIELDS[name], _INPUT_VALUES[name](value), strict=False))])


def decode_input(payload: bytes, seq: int, ts_ns: int) -> Input:
    """Read the input of a ``control`` record that has number ``seq`` and time ``ts_ns`` (UTC nanoseconds).

    Raises:
        JournalError: not JSON, or a type or field this version does not know.
    """
    value: Input = _build(INPUT_TYPES, _decode(payload), {"seq": seq, "ts_ns": ts_ns})
    return value


def encode_outputs(input_seq: int, outputs: tuple[Output, ...]) -> bytes:
    """Payload of the ``decision`` record for input ``input_seq``."""
    return _encode({"in": input_seq, "out": [(type(output).__name__, output) for output in outputs]})


def decode_outputs(payload: bytes) -> tuple[int, tuple[Output, ...]]:
    """Read a ``decision`` record: the input's sequence and its outputs in order.

    Raises:
        JournalError: not JSON, or a type or field this version does not know.
    """
    match _decode(payload):
        case {"in": int(input_seq), "out": list(pairs)}:
            return input_seq, tuple(_build(OUTPUT_TYPES, pair, {}) for pair in pairs)
    raise JournalError(f"not a decision's payload: it starts {payload[:60]!r}")


def decode_output(pair: object) -> Output:
    """The output a decoded ``[TypeName, fields]`` pair stands for.

    Raises:
        JournalError: a type or field this version does not know.
    """
    value: Output = _build(OUTPUT_TYPES, pair, {})
    return value


def encode_json(value: object) -> bytes:
    """Payload of a ``start`` or ``stop`` record: any plain values, as one JSON document."""
    return _encode(value)


def decode_json(payload: bytes) -> Any:
    """Read any JSON payload as plain values. Raises JournalError when it is none."""
    return _decode(payload)
