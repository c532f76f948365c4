"""Trains a classifier of handwritten digits; an ordinary MLflow script that knows nothing of Ferry."""

import argparse

import mlflow
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

arguments = argparse.ArgumentParser()
arguments.add_argument("--c", type=float, default=1.0, help="inverse strength of regularisation")
arguments.add_argument("--model", required=True, help="folder for the model")
options = arguments.parse_args()

pixels, digits = load_digits(return_X_y=True)
seen, unseen, answers, expected = train_test_split(pixels, digits, random_state=0)
model = LogisticRegression(C=options.c, max_iter=1000).fit(seen, answers)

mlflow.log_param("c", options.c)
mlflow.log_metric("accuracy", model.score(unseen, expected))
mlflow.sklearn.save_model(model, options.model)
print(f"accuracy on unseen images: {model.score(unseen, expected):.3f}")
