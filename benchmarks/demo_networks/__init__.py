"""`benchmarks.demo_networks`: train the demo's networks on rendered faces of random identities."""
