"""`python -m vaa_cli`, which is also what torchrun starts."""

from vaa_cli.app import main

main()
