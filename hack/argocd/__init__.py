"""Argo CD's settings, from the Lua that its own tests judge."""
