"""An API server: storage, discovery and the verbs of the Kubernetes API, for real kubectl, Helm and clients.

    python3 -m lab.cluster.api --directory DIR --kubeconfig FILE [--listen 127.0.0.1:0] ...

See `--help` for the flags, interfaces.py for what it asks of `lab.cluster.access`.
"""
