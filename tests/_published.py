"""Systems whose bifurcations are known: normal forms exactly, others from the literature.

Each published value stands twice: as it is printed, to the digits that are printed, and to
12 digits or more as the root of the defining equations in 40-digit arithmetic, with the
derivatives of the vector field from computer algebra. The latter know nothing of this
library.

Conventions: MatCont and BifurcationKit print Re c1 for the first Lyapunov coefficient;
that of Kuznetsov's book and of this library is Re c1 / omega. So for the second.
"""

import math

import jax.numpy as jnp
import numpy as np

import jaxnet as jn


class PlanarForm(jn.AbstractSystem):
    """A polynomial flow of the plane, hidden in n dimensions by a change of coordinates.

    In its own coordinates the first two variables, x and y, follow the polynomial, and the
    others decay. What is seen is `offset` plus `mixing` times these variables, bent: a y^2
    is added to x and b (x^2 + x y) to the others, with the two `bends` a and b. So
    locations, eigenvalues and normal forms are those of the polynomial, but for the length
    of `mixing` times the critical vector.

    `terms[o, k, i, j]` is the coefficient of x^i y^j, times 1, p or q for k = 0, 1 or 2, in
    the derivative of x or y. p and q are counted from `origin`.
    """

    p: jn.Parameter = jn.parameter()
    q: jn.Parameter = jn.parameter()
    terms: jn.Parameter = jn.parameter()
    mixing: jn.Parameter = jn.parameter()
    inverse: jn.Parameter = jn.parameter()
    bends: jn.Parameter = jn.parameter()
    offset: jn.Parameter = jn.parameter()
    origin: jn.Parameter = jn.parameter()

    def vector_field(self, t, y, u):
        v = self.inverse @ (y - self.offset)
        a, b = self.bends
        x, y = v[0] - a * v[1] ** 2, v[1]
        hidden = v[2:] - b * (x**2 + x * y)
        parameters = jnp.stack([1.0, self.p - self.origin[0], self.q - self.origin[1]])
        powers = lambda x: jnp.stack([jnp.ones_like(x), x, x**2, x**3, x**4, x**5])
        monomials = jnp.outer(powers(x), powers(y))
        to_x, to_y = jnp.sum(self.terms * monomials, axis=(2, 3)) @ parameters
        decay = -jnp.arange(1.0, len(hidden) + 1) * hidden
        bent = decay + b * ((2 * x + y) * to_x + x * to_y)
        flow = jnp.concatenate([jnp.stack([to_x + 2 * a * y * to_y, to_y]), bent])
        return self.mixing @ flow


def polynomial(**terms):
    """The terms of a planar form: ``x_pxy=2.0`` is 2 p x y in the derivative of x."""
    coefficients = np.zeros((2, 3, 6, 6))
    for name, value in terms.items():
        output, _, monomial = name.partition("_")
        place = 1 if "p" in monomial else 2 if "q" in monomial else 0
        powers = monomial.count("x"), monomial.count("y")
        coefficients["xy".index(output), place, *powers] += value
    return coefficients


def rotation(omega, re_c1, im_c1, re_c2=0.0, im_c2=0.0, *, generalised=False):
    """z' = (p + i omega) z + c1 z |z|^2 + c2 z |z|^4 with z = x + i y.

    If it is generalised, q is added to Re c1.
    """
    coefficients = polynomial(x_px=1.0, y_py=1.0, x_y=-omega, y_x=omega)
    for order, c in ((1, complex(re_c1, im_c1)), (2, complex(re_c2, im_c2))):
        for k in range(order + 1):
            # Of |z|^2 = x^2 + y^2 to this power.
            part = math.comb(order, k)
            i, j = 2 * (order - k), 2 * k
            coefficients[0, 0, i + 1, j] += part * c.real
            coefficients[0, 0, i, j + 1] -= part * c.imag
            coefficients[1, 0, i + 1, j] += part * c.imag
            coefficients[1, 0, i, j + 1] += part * c.real
    if generalised:
        for i, j in ((2, 0), (0, 2)):
            coefficients[0, 2, i + 1, j] += 1.0
            coefficients[1, 2, i, j + 1] += 1.0
    return coefficients


# The critical vectors of the normal forms in their own coordinates.
ALONG_X = np.array([1.0, 0.0])
CIRCLE = np.array([0.5, -0.5j])
ORIGIN = np.array([0.3, -0.2])


def planar_form(terms, n=3, *, changed=True, near=(0.02, 0.01)):
    """A planar form near its critical point, and the coordinates that it is seen in.

    Returns the system, the state of the critical point, and the image of a vector.
    """
    rng = np.random.default_rng(n)
    mixing = np.eye(n) + 0.3 * rng.normal(size=(n, n)) * changed
    offset = rng.normal(size=n) * changed
    bends = np.array([0.4, -0.7]) * changed
    system = PlanarForm(
        ORIGIN[0] + near[0],
        ORIGIN[1] + near[1],
        terms,
        mixing,
        np.linalg.inv(mixing),
        bends,
        offset,
        ORIGIN,
    )
    return system, offset, lambda v: mixing[:, :2] @ v


class HodgkinHuxley(jn.AbstractSystem):
    """The squid axon at 6.3 degrees, with the voltage from rest in mV.

    Source: Hodgkin and Huxley 1952, doi:10.1113/jphysiol.1952.sp004764.
    """

    current: jn.Parameter = jn.parameter(0.0)
    leak_reversal: jn.Parameter = jn.parameter(10.613)

    def vector_field(self, t, y, u):
        v, m, h, n = y
        linear_rate = lambda x, width: x / jnp.expm1(x / width)
        opening = jnp.stack(
            [
                0.1 * linear_rate(25 - v, 10.0),
                0.07 * jnp.exp(-v / 20),
                0.01 * linear_rate(10 - v, 10.0),
            ]
        )
        closing = jnp.stack(
            [
                4 * jnp.exp(-v / 18),
                1 / (jnp.exp((30 - v) / 10) + 1),
                0.125 * jnp.exp(-v / 80),
            ]
        )
        ionic = 120 * m**3 * h * (v - 115) + 36 * n**4 * (v + 12)
        leak = 0.3 * (v - self.leak_reversal)
        gates = opening * (1 - y[1:]) - closing * y[1:]
        return jnp.concatenate([(self.current - ionic - leak)[None], gates])


# C. Hendrick, "Hopf bifurcations and bistability in the Hodgkin-Huxley equations at the
# 1952 parameters: computer-assisted proofs", draft of 2026, not refereed,
# https://github.com/ChaseHendrick/hh-dynamics. The digits are proven by ball arithmetic.
# For each leak reversal the currents of the two Hopf points.
HODGKIN_HUXLEY_CURRENTS = {
    10.613: (9.7754379953931263, 154.5224336658080008),
    10.599: (9.7796379953931263, 154.5266336658080008),
}
# Of the two points: (V, m, h, n), omega, Re c1 / omega, d Re(lambda) / d(current).
HODGKIN_HUXLEY_STATES = (
    (5.345856397004595, 0.09725734991087853, 0.4062275201841899, 0.4017841280524271),
    (21.94190798701617, 0.4196774383372968, 0.07035539083920642, 0.6432494507418279),
)
HODGKIN_HUXLEY_OMEGAS = (0.5862338131302925, 1.062921806760336)
HODGKIN_HUXLEY_LYAPUNOV = (0.014793648131008077780, -0.0047285026950739886388)
HODGKIN_HUXLEY_SPEEDS = (0.018789058, -0.004492279)


class TsodyksMarkram(jn.AbstractSystem):
    """The rate of a population, with depression and facilitation of its synapses.

    Source: Cortes et al. 2013, doi:10.1073/pnas.1316071110.
    """

    e_0: jn.Parameter = jn.parameter(-1.2)

    def vector_field(self, t, y, u):
        e, x, release = y
        alpha, tau, tau_d, tau_f, u_0 = 1.5, 0.013, 0.2, 1.5, 0.3
        gain = alpha * jnp.log1p(jnp.exp((3.07 * release * x * e + self.e_0) / alpha))
        return jnp.stack(
            [
                (gain - e) / tau,
                (1 - x) / tau_d - release * x * e,
                (u_0 - release) / tau_f + u_0 * (1 - release) * e,
            ]
        )


# The intervals that R. Veltz prints in "Neural mass equation", a tutorial of
# BifurcationKit,
# https://bifurcationkit.github.io/BifurcationKitDocs.jl/dev/tutorials/ode/tutorialsBasic1.
# That of a fold is on one side of it, and does not hold it.
TSODYKS_MARKRAM_PRINTED_FOLDS = (-1.46309794, -1.86522340)
TSODYKS_MARKRAM_PRINTED_HOPF = ((-1.85075293, -1.84970242), (-1.15202958, -1.14947379))
TSODYKS_MARKRAM_FOLDS = (-1.463027325542694, -1.865223910339047)
TSODYKS_MARKRAM_FOLD_COEFFICIENTS = (1.030854159955396, 2.6334509369762)
TSODYKS_MARKRAM_HOPF = (-1.850124594767565, -1.151059396918669)
TSODYKS_MARKRAM_HOPF_STATES = (
    (3.675319047276319, 0.648853106459026, 0.7362365968338833),
    (7.301875888218464, 0.4500744842737625, 0.8366716157774251),
)
TSODYKS_MARKRAM_OMEGAS = (1.999847929478537, 19.36503540349816)
TSODYKS_MARKRAM_RE_C1 = (2.944347267696173, 0.02605640481006093)


class CarbonMonoxide(jn.AbstractSystem):
    """The oxidation of carbon monoxide on a catalyst, by Bykov, Yablonskii and Kim.

    Source: the manual of MatCont 6.11, Govaerts, Kuznetsov et al., equation 60,
    https://dercole.faculty.polimi.it/tds/matcont6p11_BP.zip.
    """

    q_2: jn.Parameter = jn.parameter(1.05)
    k: jn.Parameter = jn.parameter(0.4)

    def vector_field(self, t, y, u):
        x, y, s = y
        z = 1 - x - y - s
        return jnp.stack(
            [
                5 * z**2 - 2 * x**2 - 10 * x * y,
                self.q_2 * z - 0.1 * y - 10 * x * y,
                0.0675 * (z - self.k * s),
            ]
        )


# In the order of the branch: a Hopf point, two folds and a Hopf point. Printed by the
# manual of MatCont, good to 1e-6; the Lyapunov coefficients, by finite differences, to
# 3e-4.
CARBON_MONOXIDE_PRINTED_HOPF = (1.051558, 1.040991)
CARBON_MONOXIDE_PRINTED_RE_C1 = (10.70259, 4.332247)
CARBON_MONOXIDE_PRINTED_FOLDS = (1.042049, 1.052200)
CARBON_MONOXIDE_PRINTED_FOLD_COEFFICIENTS = (0.1166509, 0.1346534)
CARBON_MONOXIDE_HOPF = (1.05155746245773, 1.040991569532616)
CARBON_MONOXIDE_HOPF_STATES = (
    (0.01635754304015648, 0.5239711845904074, 0.3283366231210258),
    (0.07792777059885355, 0.2330649301297337, 0.492148070908152),
)
CARBON_MONOXIDE_OMEGAS = (0.05074034489678634, 0.05910614793577536)
CARBON_MONOXIDE_RE_C1 = (10.70101963445453, 4.331378978212869)
CARBON_MONOXIDE_FOLDS = (1.042048505378527, 1.052200287869955)
CARBON_MONOXIDE_FOLD_STATES = (
    (0.02471644491145351, 0.4502600371554468, 0.3750167985236427),
    (0.05402941507127515, 0.3022414400400177, 0.4598065320633623),
)
CARBON_MONOXIDE_FOLD_COEFFICIENTS = (0.1166593468807371, 0.1346505161239244)
# In the plane (q_2, k). Printed by the tests of R. Veltz, BifurcationKit,
# https://github.com/bifurcationkit/BifurcationKit.jl, test/hopf_codim_2/COModel.jl.
CARBON_MONOXIDE_PRINTED_TAKENS = ((1.417628, 0.971397), (1.161199, 0.722339))
CARBON_MONOXIDE_TAKENS = (
    (1.417627637600646, 0.9713975734853134),
    (1.161198708821739, 0.722339072522229),
)
# |a| and |b|, whose signs are equal.
CARBON_MONOXIDE_TAKENS_COEFFICIENTS = (
    (0.08378444142286327, 2.136279925116788),
    (0.04822564524393258, 1.937632569628116),
)
CARBON_MONOXIDE_CUSP = (1.006408329678318, 0.3559912732086765)
CARBON_MONOXIDE_CUSP_COEFFICIENT = 0.3627886568894506
CARBON_MONOXIDE_GENERALISED = (
    (0.9242550152185792, 0.3058792674779289),
    (0.8913189807743186, 0.2324873542030366),
)
CARBON_MONOXIDE_GENERALISED_STATES = (
    (0.06431133230473542, 0.2110951393804158, 0.5548702290942033),
    (0.0180224214176291, 0.3682379394978044, 0.4979683053068151),
)
CARBON_MONOXIDE_GENERALISED_OMEGAS = (0.05926471133008166, 0.05765543915597295)
CARBON_MONOXIDE_PRINTED_RE_C2 = -776.89
CARBON_MONOXIDE_RE_C2 = (-240.1233876077121, -776.9003443442933)


class Lorenz84(jn.AbstractSystem):
    """The atmosphere of Lorenz 1984, with a fourth variable.

    Source: Kuznetsov, Meijer, Govaerts and Sautois 2008, Physica D 237:3061.
    """

    f: jn.Parameter = jn.parameter(3.0)
    t: jn.Parameter = jn.parameter(0.04)

    def vector_field(self, t, y, u):
        x, y, z, w = y
        return jnp.stack(
            [
                -(y**2) - z**2 - 0.25 * x + 0.25 * self.f - 0.987 * w**2,
                x * y - x * z - y + 0.25,
                x * y + x * z - z,
                -1.04 * w + 0.987 * w * x + self.t,
            ]
        )


# The intervals printed by R. Veltz, test/hopf_codim_2/lorenz84.jl of BifurcationKit.
LORENZ_84_PRINTED_FOLD = 1.54664837
LORENZ_84_PRINTED_HOPF = (
    (1.619657484413436, 1.6196654620692468),
    (2.467211879219629, 2.467246154619121),
    (2.859863413561998, 2.859897757930758),
)
LORENZ_84_FOLD = 1.546648372598128
LORENZ_84_FOLD_STATE = (
    1.311785525316874,
    -0.04287499818491645,
    0.1803893941509952,
    -0.1570275849668475,
)
LORENZ_84_FOLD_COEFFICIENT = 3.56129139545123
LORENZ_84_HOPF = (1.619657820942583, 2.467222123112747, 2.859875412748288)
LORENZ_84_OMEGAS = (0.2952868167129867, 0.723205920022479, 1.171522646689402)
LORENZ_84_RE_C1 = (0.8647346322962478, -0.1348746040528008, 0.3038455820105236)
# In the plane (F, T).
LORENZ_84_PRINTED_TAKENS_COEFFICIENTS = (0.2144233509273467, 0.6065145518280868)
LORENZ_84_TAKENS = (1.446716701115362, 0.0209401696833226)
LORENZ_84_TAKENS_STATE = (
    1.225640495986278,
    -0.03632079327106889,
    0.197288323112333,
    -0.1233900119851886,
)
LORENZ_84_PRINTED_GENERALISED = (2.376359036672628, 0.05019751302158524)
LORENZ_84_PRINTED_RE_C2 = 0.15577531801389397
LORENZ_84_GENERALISED = (2.376360088248219, 0.05019743200847222)
LORENZ_84_GENERALISED_STATE = (
    1.152853690182416,
    -0.02825525636102957,
    0.2131069032353033,
    -0.512916929821536,
)
LORENZ_84_GENERALISED_OMEGA = 0.6903674739581277
LORENZ_84_RE_C2 = 0.1558011647192956
# At T = 0: the plane w = 0 is invariant, so that branches cross at x = 1.04 / 0.987.
LORENZ_84_BRANCH_POINT = 1.278283309881426
LORENZ_84_BRANCH_POINT_STATE = (
    1.04 / 0.987,
    -0.012059794782227,
    0.2366450296889827,
    0.0,
)
LORENZ_84_BRANCH_POINT_CUBIC = -7.044436172609796


class MorrisLecar(jn.AbstractSystem):
    """The fast subsystem of a bursting model, in dimensionless voltage.

    Source: the manual of MatCont 7.4, Govaerts, Kuznetsov et al., equation 74,
    http://www.math.uu.nl/people/kuznet/NBA/MatCont7p4.zip.
    """

    y: jn.Parameter = jn.parameter(0.11)
    z: jn.Parameter = jn.parameter(0.1)

    def vector_field(self, t, y, u):
        v, w = y
        open_calcium = (1 + jnp.tanh((v + 0.01) / 0.15)) / 2
        open_potassium = (1 + jnp.tanh((v - self.z) / 0.145)) / 2
        speed = 1.15 * jnp.cosh((v - 0.1) / 0.29)
        return jnp.stack(
            [
                self.y - (v + 0.5) / 2 - 2 * w * (v + 0.7) - open_calcium * (v - 1),
                speed * (open_potassium - w),
            ]
        )


MORRIS_LECAR_PRINTED_HOPF = 0.075658
MORRIS_LECAR_PRINTED_RE_C1 = 8.238955
MORRIS_LECAR_PRINTED_FOLDS = (-0.020727, 0.083257)
MORRIS_LECAR_PRINTED_FOLD_COEFFICIENTS = (10.36700, 2.697425)
# The manual's program prints it with the label of a Hopf point: y, v, w.
MORRIS_LECAR_NEUTRAL_SADDLE = (0.033207, -0.119894, 0.045956)
MORRIS_LECAR_HOPF = 0.07565878645042385
MORRIS_LECAR_HOPF_STATE = (0.03675629764065954, 0.2947703472477878)
MORRIS_LECAR_OMEGA = 1.894304023685396
MORRIS_LECAR_RE_C1 = 8.239013675897258
MORRIS_LECAR_FOLDS = (-0.02072716525546472, 0.08325656894321949)
MORRIS_LECAR_FOLD_COEFFICIENTS = (10.36705597446692, 2.697415513824012)
# In the plane (y, z): |a| and |b|, and the sign of their product.
MORRIS_LECAR_TAKENS = (
    (0.08899313360988356, 0.04425523785305649),
    (-0.3082200811503907, 0.2635110002300245),
)
MORRIS_LECAR_TAKENS_STATES = (
    (-0.1137325739528862, 0.1016392228305118),
    (0.06219517940945129, 0.05859246973935986),
)
MORRIS_LECAR_TAKENS_COEFFICIENTS = (
    (2.997716721245604, 9.583925588376294, -1),
    (17.2657744026811, 16.91120340024068, 1),
)
MORRIS_LECAR_CUSP = (0.09972625238135069, 0.03576082493364707)
MORRIS_LECAR_CUSP_COEFFICIENT = -20.97048847202067
MORRIS_LECAR_CUSP_STATE = (-0.1615994343740472, 0.0616754187136889)
