"""Stand-ins for the curated environments that public samples name: real packages on a public image."""

from __future__ import annotations

from ferryml.domain.spec.environment import Environment

PYTHON_IMAGE = "docker.io/library/python:3.11-bookworm"
"""The full image, not the slim one: LightGBM and OpenCV need system libraries that slim lacks."""

TRITON_IMAGE = "nvcr.io/nvidia/tritonserver:24.08-py3"

_TRACKING = ("mlflow-skinny>=2.10,<4",)
_SERVER = ("azureml-inference-server-http>=1.0",)
_TABLES = ("numpy", "pandas", "scipy")
_SKLEARN = (*_TABLES, "joblib", "matplotlib", "seaborn", "psutil", "tqdm", "pyarrow")
_TORCH = ("numpy", "pandas", "pillow", "tqdm", "matplotlib", "psutil", "tensorboard")
_HUGGING = ("transformers", "datasets", "accelerate", "evaluate", "sentencepiece")


def _python(*packages: str) -> Environment:
    return Environment(image=PYTHON_IMAGE, pip_requirements=(*packages, *_TRACKING, *_SERVER))


def _sklearn(pin: str) -> Environment:
    # versions without wheels for this Python are stood in for by the oldest that has them
    return _python(f"scikit-learn{pin}", *_SKLEARN)


CURATED: dict[str, Environment] = {
    # the first pattern that matches wins, so narrow ones come first
    "sklearn-1.8*": _sklearn("~=1.8.0"),
    "sklearn-1.7*": _sklearn("~=1.7.0"),
    "sklearn-1.6*": _sklearn("~=1.6.0"),
    "sklearn-1.5*": _sklearn("~=1.5.0"),
    "sklearn-1.4*": _sklearn("~=1.4.0"),
    "sklearn-1.3*": _sklearn("~=1.3.0"),
    "sklearn-1.2*": _sklearn("~=1.2.0"),
    "sklearn-1.1*": _sklearn("~=1.2.0"),
    "sklearn-1.0*": _sklearn("~=1.2.0"),
    "sklearn-0.*": _sklearn("~=1.2.0"),
    "scikit-learn-*": _sklearn(">=1.5,<1.8"),
    "lightgbm-*": _python("lightgbm>=3.3,<5", "scikit-learn>=1.2,<1.8", *_SKLEARN),
    "xgboost-*": _python("xgboost>=1.7,<4", "scikit-learn>=1.2,<1.8", *_SKLEARN),
    "ai-ml-automl*": _python("lightgbm", "xgboost", "scikit-learn>=1.2,<1.8", *_SKLEARN),
    "responsibleai*": _python("scikit-learn>=1.2,<1.8", "responsibleai", *_SKLEARN),
    "acpt-automl-image*": _python("torch>=2.2,<3", "torchvision", *_TORCH),
    "acft-hf-nlp*": _python("torch>=2.2,<3", *_HUGGING, *_TORCH),
    "acft-transformers*": _python("torch>=2.2,<3", *_HUGGING, *_TORCH),
    "acpt-pytorch-1.*": _python("torch>=2.0,<2.5", "torchvision", *_TORCH),
    "acpt-pytorch-2.*": _python("torch>=2.2,<3", "torchvision", *_TORCH),
    "acpt-*": _python("torch>=2.2,<3", "torchvision", *_TORCH),
    "pytorch-*": _python("torch>=2.0,<3", "torchvision", *_TORCH),
    "tensorflow-*": _python("tensorflow>=2.14,<3", "pillow", "tensorboard", *_SKLEARN),
    "minimal-*": _python(*_TABLES),
    "mlflow-*": _python("mlflow>=2.10,<4", "scikit-learn>=1.2,<1.8", *_SKLEARN),
    "python-sdk-v2*": _python("pandas", "scikit-learn>=1.2,<1.8"),
    "model-evaluation*": _python("mlflow>=2.10,<4", "scikit-learn>=1.2,<1.8", "evaluate", *_SKLEARN),
    "vision-*": _python("torch>=2.2,<3", "torchvision", "opencv-python-headless", *_TORCH),
    "triton-*": Environment(image=TRITON_IMAGE),
    "foundation-model-inference*": _python("torch>=2.2,<3", "mlflow>=2.10,<4", *_HUGGING),
}
"""Pattern of a name, without the AzureML- prefix and in lower case -> environment."""
