"""What schemathesis makes of the scalar JSON, and what it may be answered: any error of a client, or that
the service is busy, but nothing internal. Run by `just schemathesis`."""

import schemathesis
from graphql.language import ast
from hypothesis import strategies as st
from schemathesis.graphql import nodes


def an_object(fields):
    return ast.ObjectValueNode(
        fields=tuple(
            ast.ObjectFieldNode(name=ast.NameNode(value=name), value=value)
            for name, value in fields.items()
        )
    )


leaves = st.one_of(
    st.booleans().map(nodes.Boolean),
    st.integers(-(2**63), 2**63).map(nodes.Int),
    st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    st.text(max_size=20).map(nodes.String),
)
names = st.from_regex(r"\A[_A-Za-z][_0-9A-Za-z]{0,10}\Z")
json = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(nodes.List),
        st.dictionaries(names, inner, max_size=4).map(an_object),
    ),
    max_leaves=10,
)
schemathesis.graphql.scalar("JSON", json)


@schemathesis.check
def nothing_internal(ctx, response, case):
    if response.status_code >= 500 and response.status_code != 503:
        raise AssertionError(f"a status {response.status_code}: {response.text[:500]}")
    for error in (response.json() or {}).get("errors", []):
        code = error.get("extensions", {}).get("code")
        if code in (None, "INTERNAL"):
            raise AssertionError(f"an error with the code {code}: {error}")
