"""Replicas: whole problems answered by engines in other processes, on any machine.

`replica` is what runs there, `replicas` gives problems to those that are free and starts those
that die again, `ray_cluster` starts them on Ray. The process of `tts-run` alone grades and writes.
"""
