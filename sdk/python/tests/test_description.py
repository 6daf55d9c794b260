"""The client and the node's own description of its API say the same: neither can drift from the other."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any, Dict, Iterator, List, Literal, Set, Tuple

import httpx
import pytest
import tonbo_artifacts
from tonbo_artifacts import ERRORS_BY_CODE, Artifacts, AsyncArtifacts, _types
from typing_extensions import NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from calls import CALLS, COMPOSED, NOT_CALLED, NOT_SENT
from node import Node


@pytest.fixture(scope="module")
def document(node: Node) -> Any:
    return node.openapi()


def operations(document: Any) -> Iterator[Tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                yield path, method.upper(), item[method]


def resolve(document: Any, schema: Any) -> Any:
    if "$ref" in schema:
        return resolve(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    return schema


def properties(document: Any, schema: Any) -> Tuple[Dict[str, Any], Set[str]]:
    """The properties of a schema, those of all its parts together, and which are always there."""
    whole = resolve(document, schema)
    fields, required = dict(whole.get("properties", {})), set(whole.get("required", []))
    for part in whole.get("allOf", []):
        more, needed = properties(document, part)
        fields.update(more)
        required |= needed
    return fields, required


def sent(call: Any) -> httpx.Request:
    """What a client sends when it makes a call."""
    requests: List[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        requests.append(request)
        if request.headers.get("accept") == "text/event-stream":
            return httpx.Response(200, content=b'event: ready\nid: 7\ndata: {"message": "events follow"}\n\n')
        total = {"workspaces": 0, "bytes": 0, "inodes": 0}
        return httpx.Response(200, json={"items": [], "next_cursor": None, "total": total})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        call(Artifacts("tbo_test", "http://node.invalid", http_client=http))
    assert len(requests) == 1
    return requests[0]


def test_every_operation_is_called_or_said_not_to_be(document: Any) -> None:
    described = sorted(operation["operationId"] for _, _, operation in operations(document))
    assert described == sorted([*CALLS, *NOT_CALLED])


def test_every_call_is_described_with_each_of_its_parameters_and_fields(document: Any) -> None:
    for path, method, operation in operations(document):
        what = operation["operationId"]
        if what not in CALLS:
            continue
        request = sent(CALLS[what])
        assert request.method == method, what
        pattern = re.sub(r"\{\*?(\w+)\}", lambda m: ".+" if m[1] == "path" else "[^/]+", path.replace(".", r"\."))
        assert re.fullmatch(pattern, request.url.path), f"{what}: {request.url.path}"
        parameters = operation.get("parameters", [])
        queries = sorted(parameter["name"] for parameter in parameters if parameter["in"] == "query")
        assert sorted(request.url.params.keys()) == queries, what
        for parameter in parameters:
            name = parameter["name"].lower()
            if parameter["in"] == "header":
                assert (name in request.headers) == (name not in NOT_SENT.get(what, [])), f"{what}: {name}"
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            fields, _ = properties(document, content["application/json"]["schema"])
            given = json.loads(request.content)
            assert sorted(given) == sorted(fields), what
            for name, value in given.items():
                assert allows(document, fields[name], value), f"{what}: {name}={value!r}"
        else:
            assert bool(request.content) == ("requestBody" in operation), what


def allows(document: Any, schema: Any, value: Any) -> bool:
    whole = resolve(document, schema)
    if "enum" in whole:
        return value in whole["enum"]
    options = whole.get("oneOf", whole.get("anyOf"))
    if options:
        return any(allows(document, option, value) for option in options)
    kind = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}[type(value)]
    types = whole.get("type", "object")
    return kind in ([types] if isinstance(types, str) else types)


def methods(client: Any) -> Dict[str, inspect.Signature]:
    resources = {name: value for name, value in vars(client).items() if not name.startswith("_")}
    return {
        f"{name}.{method}": inspect.signature(getattr(resource, method))
        for name, resource in resources.items()
        for method in dir(resource)
        if not method.startswith("_")
    }


def test_every_method_is_in_the_list_of_calls() -> None:
    called: Set[str] = set()
    client = Artifacts("tbo_test")
    for name in methods(client):
        resource, method = name.split(".")
        original = getattr(getattr(client, resource), method)

        def note(*args: Any, _name: str = name, **kwargs: Any) -> Any:
            called.add(_name)
            raise StopIteration

        setattr(getattr(client, resource), method, note)
        assert callable(original)
    for call in CALLS.values():
        try:
            call(client)
        except (StopIteration, tonbo_artifacts.ArtifactsError):
            pass
    assert len(called) > 20
    assert called >= set(methods(Artifacts("tbo_test"))) - COMPOSED


def test_both_clients_have_the_same_surface() -> None:
    blocking, other = methods(Artifacts("tbo_test")), methods(AsyncArtifacts("tbo_test"))
    assert sorted(blocking) == sorted(other)
    for name, signature in blocking.items():
        assert list(signature.parameters) == list(other[name].parameters), name


def test_every_code_of_the_errors_has_a_class(document: Any) -> None:
    codes = document["components"]["schemas"]["ErrorCode"]["enum"]
    assert len(codes) > 20
    assert set(codes) <= set(ERRORS_BY_CODE)


def test_the_types_of_the_answers_are_what_the_node_describes(document: Any) -> None:
    ours = {name: kind for name, kind in vars(_types).items() if is_typeddict(kind)}
    # Made here: a page is generic there, and an event is put together of its name, its id and its data.
    del ours["Page"], ours["LockEvent"], ours["AuditNews"]
    schemas = document["components"]["schemas"]
    for name in answered(document):
        assert name in ours or "enum" in schemas[name] or name.startswith("PageBody"), f"there is no type {name}"
    for name, kind in ours.items():
        fields, required = properties(document, schemas[name])
        hints = get_type_hints(kind, include_extras=True)
        assert sorted(hints) == sorted(fields), name
        for field, hint in hints.items():
            origin: Any = get_origin(hint)
            optional = origin is NotRequired
            assert optional == (field not in required), f"{name}.{field} is {'not ' if optional else ''}always there"
            given = kinds_of_hint(get_args(hint)[0] if optional else hint)
            described = kinds_of_schema(document, fields[field])
            # What may be missing is left out rather than null.
            assert given == (described - {"null"} if optional else described), f"{name}.{field}"


def answered(document: Any) -> Set[str]:
    """The schemas that answers of our calls are made of."""
    found: Set[str] = set()

    def reach(schema: Any) -> None:
        if isinstance(schema, list):
            for part in schema:
                reach(part)
        elif isinstance(schema, dict):
            name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
            if name and name not in found:
                found.add(name)
                reach(document["components"]["schemas"][name])
            for part in schema.values():
                reach(part)

    for _, _, operation in operations(document):
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        # The content of files is what it is.
        contents = [answer.get("content", {}) for answer in good]
        typed = [schema for content in contents for kind, schema in content.items() if kind != "application/octet-stream"]
        if operation["operationId"] in CALLS:
            reach(typed)
    return found


def kinds_of_schema(document: Any, schema: Any) -> Set[str]:
    whole = resolve(document, schema)
    options = whole.get("oneOf", whole.get("anyOf"))
    if options:
        return set().union(*(kinds_of_schema(document, option) for option in options))
    if "enum" in whole:
        return {json.dumps(word) for word in whole["enum"]}
    types = whole.get("type", "object")
    return {types} if isinstance(types, str) else set(types)


def kinds_of_hint(hint: Any) -> Set[str]:
    origin: Any = get_origin(hint)
    if origin is Literal:
        return {json.dumps(word) for word in get_args(hint)}
    if origin is not None and type(None) in get_args(hint):
        return set().union(*(kinds_of_hint(part) for part in get_args(hint)))
    plain = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object", type(None): "null"}
    return {plain.get(origin or hint, "object")}
