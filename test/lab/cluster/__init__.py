"""A Kubernetes cluster for tests and the demo: an API server (api, access) and a node (node).

Each part is a program of its own that speaks the protocol real clients speak; the lab starts and ends them.
"""
