"""A mirror on a screen: what the camera sees, with a circle around each face and its emotion below.

    .venv/bin/python examples/mirror.py               the first camera found; Escape ends it
    .venv/bin/python examples/mirror.py synthetic     try it without a camera

`scripts/run.sh --sink window`, started once, installs pygame.
"""

import sys

try:
    import numpy as np
    import pygame

    from edge import EmotionEdgeError, analyze_video
except ImportError as error:
    sys.exit(f"mirror: {error}; start scripts/run.sh --sink window once; elsewhere: pip install '.[window]'")

WHITE = (255, 255, 255)

pygame.display.init()
pygame.font.init()
font = pygame.font.Font(None, 40)
try:
    for result in analyze_video(sys.argv[1] if len(sys.argv) > 1 else None):
        rgb = result.frame.color()[:, ::-1, ::-1]  # mirrored, BGR to RGB
        image = pygame.surfarray.make_surface(np.swapaxes(rgb, 0, 1))  # pygame has (width, height, 3)
        for face in result.faces:
            box = face.box
            center = image.get_width() - box.x - box.width // 2, box.y + box.height // 2
            pygame.draw.circle(image, WHITE, center, int(0.7 * box.height), width=3)
            text = font.render(face.label or "?", antialias=True, color=WHITE)
            image.blit(text, text.get_rect(midtop=(center[0], center[1] + int(0.75 * box.height))))
        screen = pygame.display.get_surface() or pygame.display.set_mode(image.get_size(), pygame.RESIZABLE)
        pygame.transform.smoothscale(image, screen.get_size(), screen)
        pygame.display.flip()
        if any(
            event.type == pygame.QUIT or getattr(event, "key", None) == pygame.K_ESCAPE for event in pygame.event.get()
        ):
            break
except EmotionEdgeError as error:
    sys.exit(f"mirror: {error}")
except KeyboardInterrupt:
    pass
pygame.quit()
