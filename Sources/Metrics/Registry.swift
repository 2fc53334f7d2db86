/// Every metric.
public enum Metrics {
  public static let all: [any Metric] = [
    InsertionDeletion.insertion,
    InsertionDeletion.deletion,
    AverageDrop.drop,
    AverageDrop.increase,
    AverageDrop.gain,
    PixelFlipping(),
    PerturbationMetric(),
    Infidelity(),
    Sensitivity(),
    AreaSize(),
    Precision(),
    PointingGame(),
    WordRecall(),
    Accuracy(),
    Confusion(),
  ]
}
