# %% [markdown]
# # From an equation to the derivative of a fixed point
#
# A population of neurons with mean rate r excites itself with weight w and receives an
# input I. Its rate follows
#
# $$\tau \dot r = -r + F(w r + I).$$
#
# We write this equation down once, and let the computer find where the rate stands still,
# whether it stays there, and how both change with w and I. Every number is checked against
# a formula.

# %%
import equinox as eqx
import jax
import jax.numpy as jnp

import jaxnet as jn


jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## The equation
#
# A model is a module with parameters and a vector field. (`jn.models.RatePopulation` is
# this one, ready to use.)


# %%
class Population(jn.AbstractSystem):
    """The state is the rate r; the input `u` is I."""

    w: jn.Parameter = jn.parameter(5.0)
    tau: jn.Parameter = jn.parameter(1.0, positive=True)
    F: jn.transfer.AbstractTransferFunction = eqx.field(default_factory=jn.transfer.Sigmoid)

    def vector_field(self, t, y, u):
        return (-y + self.F(self.w * y + u)) / self.tau


population = Population()

# %% [markdown]
# ## Where the rate stands still
#
# A fixed point solves r = F(w r + I). Newton's method from 17 starts finds three.

# %%
starts = jnp.linspace(0.0, 1.0, 17)
points = jn.fixed_points(population, starts, u=0.5)
r = points.y[points.valid]
print("fixed points", r)
assert jnp.allclose(r, population.F(5.0 * r + 0.5), rtol=0, atol=1e-14)

# %% [markdown]
# ## Whether it stays there
#
# A small disturbance grows or shrinks as exp(λ t), with the eigenvalue
# λ = (-1 + w F'(w r + I)) / τ. The slope F' is the *gain*, and the computer knows it too.

# %%
by_formula = -1 + 5.0 * population.F.gain(5.0 * r + 0.5)
eigenvalues = points.eigenvalues[points.valid, 0].real
print("eigenvalues ", eigenvalues)
assert jnp.allclose(eigenvalues, by_formula, rtol=0, atol=1e-14)

# %% [markdown]
# The middle one is positive. A simulation that starts next to it leaves:

# %%
run = jn.simulate(population, r[1] + 1e-3, t1=40.0, u=0.5, method=jn.Grid(0.1))
print("from", run.ys[0], "to", run.ys[-1])
assert abs(run.ys[-1] - r[2]) < 1e-6

# %% [markdown]
# ## How the fixed point moves with the input
#
# Differentiate r = F(w r + I) by I: dr/dI = F' + F' w dr/dI, so
# dr/dI = F' / (1 - w F'). The computer differentiates the answer of the search itself, by
# the implicit function theorem, not the steps of the search.


# %%
def low_point(w, u):
    return jn.fixed_points(Population(w=w), starts, u=u).y[0]


dr_dw, dr_du = jax.grad(low_point, argnums=(0, 1))(5.0, 0.5)
gain = population.F.gain(5.0 * r[0] + 0.5)
print("dr/dI", dr_du, " dr/dw", dr_dw)
assert abs(dr_du - gain / (1 - 5.0 * gain)) < 1e-12
assert abs(dr_dw - r[0] * gain / (1 - 5.0 * gain)) < 1e-12

# %% [markdown]
# ## How its eigenvalue moves
#
# λ depends on I through r: dλ/dI = w F'' (1 + w dr/dI). For the sigmoid with s = F + F₀ the
# derivatives are F' = a s (1 - s) and F'' = a (1 - 2 s) F'.


# %%
def low_eigenvalue(u):
    return jn.fixed_points(population, starts, u=u).eigenvalues[0, 0].real


slope = jax.grad(low_eigenvalue)(0.5)
s = r[0] + 1 / (1 + jnp.exp(1.2 * 2.8))
curvature = 1.2 * (1 - 2 * s) * gain
print("dλ/dI", slope)
assert abs(slope - 5.0 * curvature * (1 + 5.0 * dr_du)) < 1e-12

# %% [markdown]
# The derivative says by how much the input must rise for the low state to forget a fifth
# more slowly: a Newton step on λ. A few of them lead there. (Ask for half the speed, and
# the first step leads past the fold, where there is no low state any more.)

# %%
target, u = 0.8 * low_eigenvalue(0.5), jnp.array(0.5)
for _ in range(6):
    u = u - (low_eigenvalue(u) - target) / jax.grad(low_eigenvalue)(u)
print("input", u, "eigenvalue", low_eigenvalue(u))
assert abs(low_eigenvalue(u) - target) < 1e-10
