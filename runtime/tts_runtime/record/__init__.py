"""The record of a run, schema 1: written as it happens, read by everything that comes after."""
