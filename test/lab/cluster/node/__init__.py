"""A node and the controllers of a cluster: what runs the pods that the API server knows.

    python3 -m lab.cluster.node --kubeconfig FILE --directory DIR --lab-id ID ...

It speaks to the API server as any client does, and runs every pod for real: a network namespace with
addresses, containers as programs of the host on an overlay of its file system. It must be started inside the
lab's node namespace. See `--help` for the flags, `cluster.py` beside this package for who starts it, and
`layout.py` for the files that it keeps for others to read.
"""
