"""A window on the screen; the only place that needs pygame, and only when a window is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Window:
    """Shows pictures of one size.

    Raises:
        ImportError: pygame is not installed.
    """

    def __init__(self, title: str, width: int, height: int) -> None:
        try:
            import pygame
        except ImportError as error:
            raise ImportError("render_mode='human': needs pygame, `pip install marl-pbt[window]`") from error
        self._pygame = pygame
        pygame.display.init()
        pygame.display.set_caption(title)
        self._screen = pygame.display.set_mode((width, height))

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Put an `(height, width, 3)` picture on the screen; events are taken off the queue so that it stays alive."""
        self._pygame.event.pump()
        self._pygame.surfarray.blit_array(self._screen, picture.swapaxes(0, 1))
        self._pygame.display.flip()

    def close(self) -> None:
        """Take the window off the screen."""
        self._pygame.display.quit()
