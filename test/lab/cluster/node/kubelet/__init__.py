"""What runs the pods that are bound to the node: namespaces, volumes, containers, probes and their status."""
