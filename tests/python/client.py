"""Python's gql with each of its transports. ADDRESS is the service, TOKEN an admin's token, MEMBER a member's."""

import asyncio
import os

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError

ADDRESS, TOKEN, MEMBER = (os.environ[name] for name in ("ADDRESS", "TOKEN", "MEMBER"))
URL = f"{ADDRESS}/graphql"
SOCKET = URL.replace("http", "ws", 1)
NAMES = [f"Draft {number:02}" for number in range(1, 13)]

DRAFTS = """
  query Drafts($first: Int!, $after: String) {
    campaigns(first: $first, after: $after, filter: { status: { eq: DRAFT } }, orderBy: [{ field: NAME }]) {
      nodes { id name status createdAt }
      pageInfo { hasNextPage endCursor }
    }
  }
"""
FEED = """
  subscription Feed($after: String) {
    engagementEvents(after: $after) { cursor node { type url } }
  }
"""
RECORD = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def document(text, **variables):
    """A request as gql 4 takes it."""
    request = gql(text)
    request.variable_values = variables
    return request


def refusal(error):
    """The code and the field of an error."""
    extensions = error.errors[0]["extensions"]
    return extensions["code"], extensions.get("field")


async def pages(session):
    """All drafts, page by page."""
    nodes, after = [], None
    while True:
        result = await session.execute(document(DRAFTS, first=5, after=after))
        campaigns = result["campaigns"]
        nodes += campaigns["nodes"]
        if not campaigns["pageInfo"]["hasNextPage"]:
            return nodes
        after = campaigns["pageInfo"]["endCursor"]


async def http():
    """Queries, with the schema of the service to validate them and to parse enums."""
    transport = AIOHTTPTransport(url=URL, headers=bearer(TOKEN))
    client = Client(transport=transport, fetch_schema_from_transport=True, parse_results=True)
    async with client as session:
        nodes = await pages(session)
        assert [node["name"] for node in nodes] == NAMES, nodes
        assert {str(node["status"]) for node in nodes} == {"DRAFT"}, nodes
        assert client.schema.get_type("EngagementEvent") is not None
        try:
            await session.execute(gql("{ campaigns { nothing } }"))
            raise AssertionError("the client validates")
        except GraphQLError as error:
            assert "nothing" in error.message, error
        try:
            await session.execute(document(DRAFTS, first=1, after="nonsense"))
            raise AssertionError("the cursor is wrong")
        except TransportQueryError as error:
            assert refusal(error) == ("BAD_USER_INPUT", "after"), error
    async with Client(transport=AIOHTTPTransport(url=URL, headers=bearer(MEMBER))) as session:
        try:
            text = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }"
            await session.execute(document(text, id=nodes[0]["id"]))
            raise AssertionError("a member deletes")
        except TransportQueryError as error:
            assert refusal(error)[0] == "FORBIDDEN", error


def blocking():
    """The same from a program without a loop of events."""
    transport = RequestsHTTPTransport(url=URL, headers=bearer(TOKEN))
    with Client(transport=transport, fetch_schema_from_transport=True) as session:
        result = session.execute(document(DRAFTS, first=500))
        assert [node["name"] for node in result["campaigns"]["nodes"]] == NAMES, result


async def sockets():
    """A subscription and queries over one socket, and events that another client records."""
    transport = WebsocketsTransport(
        url=SOCKET, init_payload=bearer(TOKEN), ping_interval=1, subprotocols=["graphql-transport-ws"]
    )
    http = Client(transport=AIOHTTPTransport(url=URL, headers=bearer(TOKEN)))
    client = Client(transport=transport, fetch_schema_from_transport=True)
    urls = ["https://a.example/", "https://b.example/", "https://c.example/"]
    async with client as session, http as other:
        assert [node["name"] for node in await pages(session)] == NAMES
        found = await other.execute(gql("{ feedCursor sends(first: 1) { nodes { id } } }"))
        send = found["sends"]["nodes"][0]["id"]
        heard = []
        following = session.subscribe(document(FEED, after=found["feedCursor"]))

        async def follow():
            async for result in following:
                heard.append(result["engagementEvents"]["node"]["url"])
                if len(heard) == len(urls):
                    return

        task = asyncio.create_task(follow())
        for url in urls:
            event = {"sendId": send, "type": "CLICK", "url": url}
            await other.execute(document(RECORD, input=[event]))
        await asyncio.wait_for(task, 60)
        await following.aclose()
        assert heard == urls, heard


async def main():
    await http()
    await asyncio.to_thread(blocking)
    await sockets()


asyncio.run(main())
print("done")
