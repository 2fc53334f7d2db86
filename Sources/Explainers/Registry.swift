/// Every explanation method, best first: those that a model was trained with, then those that work on any.
public enum Explainers {
  public static let all: [any Explainer] = [
    Scouter(),
    TAME(),
    LCAM(),
    CAStream(),
    LaViSE(),
    CAMMethod.gradCAM,
    CAMMethod.gradCAMPlusPlus,
    CAMMethod.xGradCAM,
    CAMMethod.hiResCAM,
    CAMMethod.layerCAM,
    CAMMethod.gradCAMElementwise,
    CAMMethod.eigenCAM,
    CAMMethod.eigenGradCAM,
    CAMMethod.cam,
    CAMMethod.activationMap,
    FinerCAM(),
    FullGrad(),
    SmoothGradCAM(),
    InputGradientMethod.saliency,
    InputGradientMethod.inputTimesGradient,
    IntegratedGradients(),
    SmoothGrad(),
    InputGradientMethod.guidedBackpropagation,
    InputGradientMethod.deconvolution,
  ]
}
