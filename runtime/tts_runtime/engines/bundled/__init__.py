"""The engine of the bundled models: small Llamas on the CPU."""
