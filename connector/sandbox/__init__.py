"""A demo inbox that speaks the services' own APIs on loopback: for the demo, for tests, for trying a config."""

from connector.sandbox.server import Sandbox
from connector.sandbox.world import World

__all__ = ["Sandbox", "World"]
