"""Deskpulse: support KPIs that can be trusted. This package is the application; it names no service."""

__version__ = "0.1.0"
