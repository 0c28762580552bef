"""ASGI endpoints, middleware, authentication and OpenAPI."""
