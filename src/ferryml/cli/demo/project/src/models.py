"""The two kinds of classifier that this demo knows."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

MODELS = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=400, C=0.05)),
    "forest": lambda: RandomForestClassifier(n_estimators=1200, max_depth=12, random_state=0),
}
