"""The strong engine whose log is an etcd cluster's (decision 014)."""
