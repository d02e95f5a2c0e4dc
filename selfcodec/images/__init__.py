"""Between image files and the samples that the codec codes.

file -> load_picture -> Picture: planes (H, W, C) for the model, alpha (H, W), metadata -> encode
decode -> to_image(mode, planes, alpha, metadata) -> save_image -> write_atomically
"""

from selfcodec.images.loading import from_image, load_picture
from selfcodec.images.picture import Picture, to_image
from selfcodec.images.saving import save_image, usual_suffix

__all__ = ["Picture", "from_image", "load_picture", "save_image", "to_image", "usual_suffix"]
