"""The checks: one file per kind of component, one function per property.

Each takes a :class:`~colearn_core.testing.kit.Subject` (for plugins a ``PluginInfo``), raises
``CheckFailed`` if the property doesn't hold, and says in its docstring what breaks in a collective then.
"""
