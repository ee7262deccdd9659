"""Frozen figures: every value that was shown can be shown again, with what it was made of.

Rows are only ever added. A figure's scope is what it is about; when the figure of a scope changes, a new row says which
one it restates and why. The same figure computed again adds nothing.
"""

from connector.results.explain import Explanation, explain, recomputed
from connector.results.freeze import Frozen, find, freeze

__all__ = ["Explanation", "Frozen", "explain", "find", "freeze", "recomputed"]
