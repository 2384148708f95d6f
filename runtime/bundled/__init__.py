"""The bundled world: small arithmetic problems, a policy and a PRM trained on them from scratch."""
