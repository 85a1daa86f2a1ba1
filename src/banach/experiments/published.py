"""Published figures on CIFAR-10, as published and with their protocols, to set beside a user's own runs."""

from banach.experiments.experiment import Table

CIFAR10 = Table(
    "Published on CIFAR-10, unconditional; of other networks, samples and protocols than each other's and than ours",
    ("method", "inception score", "FID", "where, and how it was measured"),
    (
        ("WGAN-GP", "7.33", "22.29", "torch-mimicry; 50,000 samples against the 50,000 training images"),
        (
            "WGAN-GP",
            "7.46",
            "25.85",
            "StudioGAN, 2022; 10,000 samples against the 10,000 test images; the best of the run",
        ),
        (
            "WGAN-GP",
            "7.95",
            "16.95",
            "w86763777/pytorch-gan-collections, residual networks; against the 50,000 training images",
        ),
        ("WGAN, clipped", "2.58", "159.1", "StudioGAN, as above"),
        ("Banach WGAN, L^10", "8.31", "", "the paper; against its code's data, training and test images"),
    ),
)

TABLE_2 = Table(
    "Table 2 of Lipschitz GANs from memory, unverified (500,000 samples, against the 50,000 training images)",
    ("phi", "CIFAR-10, inception score", "CIFAR-10, FID", "Tiny ImageNet, inception score", "Tiny ImageNet, FID"),
    (
        ("x", "7.68 ± 0.03", "18.35 ± 0.12", "8.66 ± 0.04", "16.47 ± 0.04"),
        ("exp(x)", "8.03 ± 0.03", "15.64 ± 0.07", "8.67 ± 0.04", "14.90 ± 0.07"),
        ("-log sigmoid(-x)", "7.95 ± 0.04", "16.47 ± 0.11", "8.70 ± 0.04", "15.05 ± 0.07"),
        ("x + sqrt(x^2+1)", "7.97 ± 0.03", "16.03 ± 0.09", "8.82 ± 0.03", "15.11 ± 0.06"),
        ("(x+1)^2", "7.97 ± 0.04", "15.90 ± 0.09", "8.53 ± 0.04", "15.72 ± 0.11"),
        ("max(0, x+1)", "7.91 ± 0.04", "16.52 ± 0.12", "8.63 ± 0.04", "15.75 ± 0.06"),
    ),
)
