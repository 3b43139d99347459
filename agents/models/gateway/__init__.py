"""The gateway: the one process that holds keys, and through which every call of a model behind an endpoint goes."""
