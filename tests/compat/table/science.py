"""Numbers and physics: scipy, statsmodels, images, astronomy, graphs, quantum circuits."""

# ruff: noqa: E501 - cells are strings of one line

from __future__ import annotations

from entry import Entry, Package

_SCIPY = Package("scipy", ("scipy",))
_SKIMAGE = Package("scikit-image", ("skimage",))
_STATSMODELS = Package("statsmodels", ("statsmodels",))
_OPENCV = Package("opencv-python", ("cv2",))
_ASTROPY = Package("astropy", ("astropy",))
_PHOTUTILS = Package("photutils", ("photutils", "scipy"))
_LMFIT = Package("lmfit", ("lmfit",))
_NETWORKX = Package("networkx", ("networkx",))
_QISKIT = Package("qiskit", ("qiskit",))

ENTRIES: list[Entry] = [
    _SCIPY.entry(
        "scipy.sparse",
        (
            "import numpy as np; from scipy import sparse",
            "obj = sparse.csr_matrix(np.eye(3) * [1, 0, 2])",
            "weights = obj.data; grid = sparse.coo_array(obj)",
        ),
        ("obj.toarray()", "obj.indices", "weights", "grid.toarray()"),
        "weights[0] = 7; grid.data[1] = 5",
        "obj.data is weights",
    ),
    _SCIPY.entry(
        "scipy.spatial",
        (
            "import numpy as np; from scipy import spatial",
            "points = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.4, 0.6]])",
            "obj = spatial.KDTree(points); hull = spatial.ConvexHull(points); turn = spatial.transform.Rotation.from_euler('z', 30, degrees=True)",
        ),
        ("obj.query([[0.5, 0.5]])", "sorted(hull.vertices)", "turn.as_matrix()", "obj.data"),
        "obj = spatial.KDTree(points * 3); turn = turn * turn",
        "spatial.Delaunay(points).simplices.shape[1] == 3",
    ),
    _SCIPY.entry(
        "scipy.interpolate",
        (
            "import numpy as np; from scipy import interpolate",
            "obj = interpolate.CubicSpline([0, 1, 2, 3], [0, 1, 0, 2.0])",
            "line = interpolate.interp1d([0, 1], [2, 4]); smooth = interpolate.UnivariateSpline([0, 1, 2, 3, 4], [0, 1, 4, 9, 16])",
        ),
        ("obj([0.5, 1.5])", "float(line(0.25))", "float(smooth(2.5))"),
        "obj.c[0, 0] += 1",
    ),
    _SCIPY.entry(
        "scipy.ndimage",
        (
            "import numpy as np; from scipy import ndimage",
            "obj = ndimage.gaussian_filter(np.eye(5), 1); labels, count = ndimage.label(np.eye(3))",
        ),
        ("obj", "labels", "count"),
        "obj[0] = 1; labels += 1",
    ),
    _SCIPY.entry(
        "scipy.ndimage.interpolate",
        (
            "import numpy as np; from scipy import ndimage",
            "obj = ndimage.zoom(np.eye(3), 2, order=1); turned = ndimage.rotate(np.eye(3), 90)",
        ),
        ("obj", "turned"),
        "obj *= 2",
    ),
    _SCIPY.entry(
        "scipy.optimize",
        (
            "import numpy as np; from scipy import optimize",
            "obj = optimize.minimize(lambda x: ((x - 3) ** 2).sum(), [0.0, 0.0])",
            "limits = optimize.Bounds([0, 0], [1, 2]); linear = optimize.LinearConstraint(np.eye(2), 0, 1)",
        ),
        ("obj.x", "obj.success, obj.message", "repr(limits)", "linear.A"),
        "obj.x[0] = 9; obj['note'] = 1",
        "obj['x'] is obj.x",
    ),
    _SCIPY.entry(
        "scipy.signal",
        (
            "import numpy as np; from scipy import signal",
            "obj = signal.lti([1], [1, 2, 1]); sos = signal.butter(2, 0.3, output='sos')",
            "sampled = obj.to_discrete(0.1)",
        ),
        ("obj.poles", "signal.sosfilt(sos, np.ones(4))", "sampled.num", "obj.num, obj.den"),
        "obj = signal.lti([1], [1, 3]); sos[0, 0] = 0",
    ),
    _SCIPY.entry(
        "scipy.signal.windows",
        ("from scipy.signal import windows", "obj = windows.hann(8); kaiser = windows.kaiser(4, 3)"),
        ("obj", "kaiser"),
        "obj[0] = 1",
    ),
    _SCIPY.entry(
        "scipy.spatial.distance._hausdorff",
        (
            "import numpy as np; from scipy.spatial.distance import directed_hausdorff; from scipy.spatial import _hausdorff",
            "obj = _hausdorff.directed_hausdorff; distance = list(directed_hausdorff(np.eye(2), np.zeros((2, 2))))",
        ),
        ("distance",),
        "distance[0] = 5.0",
        "obj is _hausdorff.directed_hausdorff",
    ),
    _SCIPY.entry(
        "scipy.spatial.distance",
        (
            "import numpy as np; from scipy.spatial import distance",
            "obj = distance.pdist(np.eye(3)); square = distance.squareform(obj); metric = distance.cosine",
        ),
        ("obj", "square", "float(metric([1, 0], [1, 1]))"),
        "obj[0] = 0; metric = distance.cityblock",
        "metric in (distance.cosine, distance.cityblock)",
    ),
    _SCIPY.entry(
        "scipy.special",
        (
            "from scipy import special",
            "obj = special.legendre(3); gamma = special.gamma; roots = special.roots_legendre(3)",
        ),
        ("obj.coeffs", "gamma(5.0)", "roots", "obj(0.5)"),
        "obj = special.chebyt(2)",
        "gamma is special.gamma",
    ),
    _SCIPY.entry(
        "scipy.stats",
        (
            "import numpy as np; from scipy import stats",
            "obj = stats.norm(loc=1, scale=2); kde = stats.gaussian_kde([1.0, 2, 4]); test = stats.ttest_ind([1, 2, 3], [2, 3, 5.0])",
            "kind = stats.gamma",
        ),
        (
            "obj.pdf(1.0), obj.ppf(0.3)",
            "kde([2.0])",
            "float(test.pvalue), float(test.statistic)",
            "obj.rvs(2, random_state=3)",
        ),
        "obj = stats.gamma(2.0); kde.set_bandwidth(0.5)",
        "kind is stats.gamma",
    ),
    _SKIMAGE.entry(
        "skimage",
        (
            "import numpy as np, skimage; from skimage import measure, transform",
            "obj = transform.AffineTransform(scale=(2, 3), rotation=0.1); regions = measure.regionprops(measure.label(np.eye(4) > 0))",
        ),
        ("obj.params", "obj([[1.0, 2.0]])", "len(regions)", "regions[0].area, regions[0].bbox"),
        "obj = obj + transform.AffineTransform(translation=(1, 1))",
    ),
    _SKIMAGE.entry(
        "skimage.morphology",
        (
            "import numpy as np; from skimage import morphology",
            "obj = morphology.disk(2); closed = morphology.closing(np.eye(4), np.ones((2, 2)))",
        ),
        ("obj", "closed"),
        "obj[0, 0] = 1",
    ),
    _STATSMODELS.entry(
        "statsmodels.api",
        (
            "import numpy as np, pandas as pd, statsmodels.api as sm, statsmodels.formula.api as smf",
            "frame = pd.DataFrame({'x': np.arange(20.0), 'y': np.arange(20.0) * 2 + np.sin(np.arange(20))})",
            "model = sm.OLS(frame.y, sm.add_constant(frame.x)); obj = model.fit()",
            "formula = smf.ols('y ~ x + np.log(x + 1)', frame).fit()",
        ),
        (
            "obj.params",
            "obj.rsquared",
            "formula.params",
            "obj.predict([[1, 2.0]])",
            "formula.predict(pd.DataFrame({'x': [3.0]}))",
        ),
        "model = sm.OLS(frame.x, sm.add_constant(frame.y)); obj = model.fit()",
        "obj.model is model",
    ),
    _OPENCV.entry(
        "cv2",
        (
            "import cv2, numpy as np",
            "obj = cv2.KeyPoint(1.5, 2.5, 7)",
            "image = cv2.GaussianBlur(np.eye(5, dtype=np.uint8) * 255, (3, 3), 0); match = cv2.DMatch(1, 2, 0.5)",
        ),
        ("obj.pt, obj.size, obj.angle, obj.octave", "image", "match.queryIdx, match.distance"),
        "obj.pt = (9.0, 9.0); image[0] = 0; match.distance = 2.0",
    ),
    _ASTROPY.entry(
        "astropy.io.fits.HDUList",
        (
            "import numpy as np; from astropy.io import fits",
            "obj = fits.HDUList([fits.PrimaryHDU(np.arange(6.0).reshape(2, 3)), fits.BinTableHDU.from_columns([fits.Column('a', 'K', array=[1, 2])])])",
            "head = obj[0].header",
        ),
        ("obj[0].data", "obj[1].data['a']", "repr(head)", "len(obj)"),
        "obj[0].data[0, 0] = 9; head['NOTE'] = 'x'",
        "obj[0].header is head",
    ),
    _ASTROPY.entry(
        "astropy.io.fits.PrimaryHDU",
        (
            "import numpy as np; from astropy.io import fits",
            "obj = fits.PrimaryHDU(np.eye(2)); obj.header['A'] = (1, 'comment')",
        ),
        ("obj.data", "repr(obj.header)"),
        "obj.data = np.ones((3, 3)); obj.header['B'] = 2",
    ),
    _ASTROPY.entry(
        "astropy.modeling.functional_models.Linear1D",
        (
            "from astropy.modeling import models, fitting",
            "obj = models.Linear1D(slope=2, intercept=1); slope = obj.slope",
        ),
        ("obj(3.0)", "obj.parameters", "slope.value, slope.fixed"),
        "obj.slope = 5; obj.intercept.fixed = True",
        "obj.slope.model is obj",
    ),
    _ASTROPY.entry(
        "astropy.modeling.functional_models.Ellipse2D",
        (
            "from astropy.modeling import models",
            "obj = models.Ellipse2D(amplitude=2, x_0=1, y_0=1, a=3, b=2, theta=0.3)",
        ),
        ("obj(1.0, 1.0), obj(9.0, 9.0)", "obj.parameters"),
        "obj.a = 10",
    ),
    _ASTROPY.entry(
        "astropy.modeling.fitting.LinearLSQFitter",
        (
            "import numpy as np; from astropy.modeling import models, fitting",
            "obj = fitting.LinearLSQFitter(calc_uncertainties=True); line = obj(models.Linear1D(), np.arange(5.0), np.arange(5.0) * 2 + 1)",
        ),
        ("line.parameters", "float(obj.fit_info['residuals'].sum())", "obj._calc_uncertainties"),
        "line = obj(models.Linear1D(), np.arange(5.0), np.arange(5.0) ** 2)",
    ),
    _ASTROPY.entry(
        "astropy.modeling.polynomial.Polynomial1D",
        (
            "from astropy.modeling import models",
            "obj = models.Polynomial1D(2, c0=1, c1=2, c2=3); both = obj + models.Const1D(4)",
        ),
        ("obj(2.0)", "obj.degree", "both(2.0)"),
        "obj.c2 = 0; both = obj | models.Const1D(1)",
    ),
    _ASTROPY.entry(
        "astropy.modeling.polynomial.Polynomial2D",
        ("from astropy.modeling import models", "obj = models.Polynomial2D(1, c0_0=1, c1_0=2, c0_1=3)"),
        ("obj(1.0, 2.0)", "obj.param_names"),
        "obj.c1_0 = -2",
    ),
    _ASTROPY.entry(
        "astropy.nddata.NDData",
        (
            "import numpy as np; from astropy import units as u; from astropy.nddata import NDData, StdDevUncertainty",
            "obj = NDData(np.arange(4.0), unit=u.m, mask=[0, 1, 0, 0], uncertainty=StdDevUncertainty([1.0] * 4), meta={'a': 1})",
        ),
        ("obj.data", "str(obj.unit)", "obj.mask", "obj.uncertainty.array", "dict(obj.meta)"),
        "obj.data[0] = 5; obj.meta['b'] = 2",
        "obj.unit is u.m",
        "obj.uncertainty.parent_nddata is obj",
    ),
    _ASTROPY.entry(
        "astropy.nddata.NDDataRef",
        (
            "import numpy as np; from astropy import units as u; from astropy.nddata import NDDataRef",
            "obj = NDDataRef(np.arange(4.0), unit=u.s); part = obj[1:3]",
        ),
        ("obj.data", "part.data", "str(part.unit)"),
        "obj = obj.multiply(2)",
    ),
    _ASTROPY.entry(
        "astropy.stats.SigmaClip",
        (
            "import numpy as np; from astropy.stats import SigmaClip",
            "obj = SigmaClip(sigma=2, maxiters=3); clipped = obj(np.array([1.0, 2, 1, 2, 100]))",
        ),
        ("repr(obj)", "clipped.mask", "obj(np.array([1.0, 2, 1, 2, 1, 2, 100])).mask"),
        "obj.sigma = 1; clipped = obj(np.array([1.0, 2, 1, 2, 100]))",
    ),
    _ASTROPY.entry(
        "astropy.table.QTable",
        (
            "import numpy as np; from astropy import units as u; from astropy.table import QTable, Table",
            "obj = QTable({'a': [1, 2, 3] * u.m, 'b': ['x', 'y', 'z']}, meta={'k': [1]})",
            "column = obj['a']; plain = Table({'x': [1, 2]}); part = plain[:1]",
        ),
        ("obj['a'].value", "list(obj['b'])", "str(obj['a'].unit)", "dict(obj.meta)", "obj.colnames"),
        "obj['a'][0] = 50 * u.cm; obj['c'] = obj['a'] * 2",
        "obj['a'] is column",
        "column.unit is u.m",
        "obj['a'].info.parent_table is obj",
        "np.shares_memory(part['x'], plain['x'])",
    ),
    _ASTROPY.entry(
        "astropy.units.Quantity",
        (
            "import numpy as np; from astropy import units as u",
            "obj = np.arange(4.0) * u.km / u.s; part = obj[:2]; mine = u.def_unit('parrot', 3 * u.m); length = 2 * mine; unit = u.m",
        ),
        ("obj.value", "str(obj.unit)", "obj.to(u.m / u.s).value", "length.to(u.m).value", "part.value"),
        "obj[0] = 9 * u.m / u.s",
        "unit is u.m",
        "(1 * u.m).unit is unit",
        "np.shares_memory(obj, part)",
        "length.unit is mine",
    ),
    _ASTROPY.entry(
        "astropy.visualization.PercentileInterval",
        (
            "import numpy as np; from astropy.visualization import PercentileInterval, AsinhStretch",
            "obj = PercentileInterval(90.0); both = AsinhStretch() + obj",
        ),
        ("obj.get_limits(np.arange(100.0))", "both(np.arange(5.0))"),
        "obj.lower_percentile = 20.0",
    ),
    _ASTROPY.entry(
        "astropy.visualization.mpl_normalize.ImageNormalize",
        (
            "import numpy as np; from astropy.visualization import ImageNormalize, SqrtStretch, MinMaxInterval",
            "obj = ImageNormalize(np.arange(10.0), interval=MinMaxInterval(), stretch=SqrtStretch())",
        ),
        ("obj(np.array([0.0, 4.5, 9.0])).data", "obj.vmin, obj.vmax"),
        "obj.vmax = 20.0",
        modules=("matplotlib",),
    ),
    _ASTROPY.entry(
        "astropy.wcs.WCS",
        (
            "from astropy.wcs import WCS",
            "obj = WCS(naxis=2); obj.wcs.crpix = [5, 5]; obj.wcs.cdelt = [0.1, 0.1]; obj.wcs.crval = [10, 20]; obj.wcs.ctype = ['RA---TAN', 'DEC--TAN']",
        ),
        ("obj.wcs_pix2world([[1.0, 2.0]], 0)", "obj.wcs.crval", "obj.to_header_string()"),
        "obj.wcs.crval = [30, 40]",
    ),
    _ASTROPY.entry(
        "astropy.wcs.Celprm",
        ("from astropy.wcs import WCS, Celprm", "obj = Celprm(); obj.phi0 = 10.0; obj.theta0 = 20.0"),
        ("obj.phi0, obj.theta0",),
        "obj.phi0 = 33.0",
    ),
    _ASTROPY.entry(
        "astropy.convolution.Box2DKernel",
        ("from astropy.convolution import Box2DKernel", "obj = Box2DKernel(3)"),
        ("obj.array", "obj.shape, obj.separable"),
        "obj = obj * 2",
    ),
    _ASTROPY.entry(
        "astropy.convolution.Gaussian2DKernel",
        (
            "import numpy as np; from astropy.convolution import Gaussian2DKernel, convolve",
            "obj = Gaussian2DKernel(1, x_size=5, y_size=5)",
        ),
        ("obj.array", "convolve(np.eye(5), obj)"),
        "obj.normalize('peak')",
    ),
    _PHOTUTILS.entry(
        "photutils.utils.CutoutImage",
        (
            "import numpy as np; from photutils.utils import CutoutImage",
            "data = np.arange(100.0).reshape(10, 10); obj = CutoutImage(data, (5, 5), (3, 3))",
        ),
        ("obj.data", "obj.position, obj.shape", "repr(obj.bbox_original)"),
        "data[5, 5] = -1",
        "np.shares_memory(data, obj.data)",
    ),
    _PHOTUTILS.entry(
        "photutils.utils.ImageDepth",
        (
            "import numpy as np; from photutils.utils import ImageDepth",
            "obj = ImageDepth(3, nsigma=5.0, napers=10, niters=1, overlap=True, seed=1, progress_bar=False)",
            "depths = obj(np.random.default_rng(0).normal(size=(50, 50)), np.zeros((50, 50), bool))",
        ),
        ("depths", "obj.aper_radius, obj.nsigma, obj.napers"),
        "obj.nsigma = 3.0; depths = obj(np.random.default_rng(1).normal(size=(50, 50)), np.zeros((50, 50), bool))",
    ),
    _PHOTUTILS.entry(
        "photutils.psf.matching.HanningWindow",
        (
            "try:\n    from photutils.psf_matching import HanningWindow\nexcept ImportError:\n    from photutils.psf.matching import HanningWindow",
            "obj = HanningWindow()",
        ),
        ("obj((5, 5))", "obj.alpha"),
        "obj.alpha = 0.5",
    ),
    _PHOTUTILS.entry(
        "photutils.psf.matching.CosineBellWindow",
        (
            "try:\n    from photutils.psf_matching import CosineBellWindow\nexcept ImportError:\n    from photutils.psf.matching import CosineBellWindow",
            "obj = CosineBellWindow(alpha=0.4)",
        ),
        ("obj((5, 5))", "obj.alpha"),
        "obj.alpha = 0.7",
    ),
    _LMFIT.entry(
        "lmfit.parameter.Parameters",
        (
            "import numpy as np, lmfit",
            "obj = lmfit.Parameters(); obj.add('a', 2.0, min=0); obj.add('b', expr='a * 3')",
            "a = obj['a']; model = lmfit.Model(lambda x, a, b: a * x + b); result = model.fit(np.arange(5.0) * 2 + 1, x=np.arange(5.0), a=1, b=0)",
        ),
        ("obj.valuesdict()", "obj['a'].min", "round(result.params['a'].value, 6)", "obj['b'].expr"),
        "a.value = 5.0; obj.add('c', 1)",
        "obj['a'] is a",
        "abs(obj['b'].value - 3 * a.value) < 1e-9",
    ),
    _NETWORKX.entry(
        "networkx.classes.graph.Graph",
        (
            "import networkx as nx",
            "obj = nx.karate_club_graph(); obj.graph['note'] = [1]; node = obj.nodes[0]; around = obj.adj",
        ),
        ("sorted(obj.edges())", "nx.shortest_path(obj, 0, 33)", "dict(node)", "obj.graph", "sorted(obj.adj[0])"),
        "obj.add_edge(0, 99, weight=2); node['x'] = 1",
        "obj.nodes[0] is node",
        "around[0] == obj.adj[0]",
    ),
    _NETWORKX.entry(
        "networkx.classes.digraph.DiGraph",
        (
            "import networkx as nx",
            "obj = nx.DiGraph([(1, 2), (2, 3)]); inner = obj.subgraph([1, 2]); back = obj.reverse(copy=False)",
        ),
        (
            "list(obj.edges())",
            "list(nx.topological_sort(obj))",
            "sorted(inner.edges())",
            "sorted(back.edges())",
            "list(obj.predecessors(3))",
        ),
        "obj.add_edge(3, 4); obj.remove_edge(1, 2)",
    ),
    _QISKIT.entry(
        "qiskit.QuantumCircuit",
        (
            "from qiskit import QuantumCircuit; from qiskit.circuit import Parameter; from qiskit.quantum_info import Statevector",
            "theta = Parameter('t'); obj = QuantumCircuit(2); obj.h(0); obj.cx(0, 1); obj.rx(theta, 1)",
        ),
        (
            "obj.num_qubits, dict(obj.count_ops())",
            "str(obj.draw('text'))",
            "Statevector(obj.assign_parameters({theta: 0.5})).data",
        ),
        "obj.x(0); obj.barrier()",
        "theta in obj.parameters",
    ),
]
