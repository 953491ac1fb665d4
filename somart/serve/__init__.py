"""Serving a program: HTTP, event streams, WebSocket, static files (spec 3 §8).

Decisions are plain functions without I/O: `parsing` (bytes to requests, limits), `routing` (request
to handler and arguments), `replies` (value to response), `message` (response to bytes). `http`,
`websocket` and `sse` are the drivers on trio streams, `site` joins both halves.
"""
