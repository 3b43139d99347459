"""The embedded model: a small frozen statistical model of Python code that chats with tool calls.

Read `docs/embedded-model.md` for what it is, what it is not, and what in a message has an effect.
"""
