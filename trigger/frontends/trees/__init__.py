"""Boosted trees and forests of XGBoost, LightGBM, conifer and scikit-learn as networks."""
