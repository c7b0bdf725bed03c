"""Let `import torchvision` work where its compiled part was built for another torch.

`.ci/install.sh` copies this module into the environment, with a .pth file that imports it, but only
where `import torchvision` fails with "operator torchvision::nms does not exist". The two operators
that torchvision registers when it is imported are then declared, without a body, just before.
"""

import sys


class _Finder:
    """Declares the operators when torchvision is looked for, then steps aside."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(_Finder)
            import torch

            _Finder.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                _Finder.library.define(
                    f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
        return None


sys.meta_path.insert(0, _Finder)
