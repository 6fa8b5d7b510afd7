"""Light an LED at pin 17 while somebody in front of the camera smiles.

    .venv/bin/python examples/led.py               the first camera found
    .venv/bin/python examples/led.py synthetic     try it without a camera

On a Raspberry Pi: sudo apt install python3-gpiozero python3-lgpio, then scripts/run.sh once, so that .venv sees them.
Elsewhere: an environment of your own with gpiozero, and GPIOZERO_PIN_FACTORY=mock.
led_sink.py does the same as a sink of `edge run`, with options.
"""

import sys

try:
    from gpiozero import LED

    from edge import EmotionEdgeError, analyze_video
except ImportError as error:
    on_pi = "sudo apt install python3-gpiozero python3-lgpio, then scripts/run.sh once"
    sys.exit(f"led: {error}; {on_pi}; elsewhere: pip install . gpiozero")

PIN, LABEL = 17, "happy"

source = sys.argv[1] if len(sys.argv) > 1 else None
led = LED(PIN)
try:
    for result in analyze_video(source):
        smiles = any(face.label == LABEL for face in result.faces)
        if smiles != led.is_lit:
            led.value = smiles
            print("on" if smiles else "off", flush=True)
except EmotionEdgeError as error:
    sys.exit(f"led: {error}")
except KeyboardInterrupt:
    pass
finally:
    led.close()
