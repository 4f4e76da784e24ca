"""`intaglio board`: what is on a serial port, or a virtual board to open one to."""

import signal
from typing import Annotated

import typer

from driver import Device
from driver.serial_link import SerialLink
from intaglio.failures import one_sentence, refusing
from intaglio.providers import VIRTUAL_BOARD, virtual_model

__all__ = ["board"]


def board(
    port: Annotated[
        str | None, typer.Option(help="The board's serial port; by default the only one found.")
    ] = None,
    virtual: Annotated[
        bool, typer.Option("--virtual", help="Simulate a board on a port until interrupted.")
    ] = False,
    like: Annotated[
        str, typer.Option(help="Which board to simulate: intaglio boards lists them.")
    ] = VIRTUAL_BOARD,
) -> None:
    """Say what a board on a serial port is; or simulate one, pins and all, on a new port."""
    if virtual and port is not None:
        raise typer.BadParameter("a virtual board gets a port of its own: no --port")
    with one_sentence():
        if virtual:
            _simulate(like)
        else:
            _describe(port)


def _describe(port: str | None) -> None:
    link = SerialLink(port)
    with Device(link) as device:
        info = device.info
        print(f"{link.port}: profile {info.profile}, {info.slots} slots, records up to ", end="")
        print(f"{info.largest_record:,} bytes, {link.baud:,} baud")


def _simulate(name: str) -> None:
    with refusing():
        model = virtual_model(print, name)
    with model.plugged_in() as running:
        print(f"A virtual {name} is on {running.port} until Ctrl-C.", flush=True)
        signal.pause()
