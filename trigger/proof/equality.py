"""Whether two forms are equal, where their normal forms alone do not say it."""

from trigger.proof.forms import Forms
from trigger.proof.values import Form, Terms


def equal(forms: Forms, a: Form, b: Form, modulus: int = 0) -> bool:
    """Whether two forms are proven equal, modulo a number if one is given.

    Where functions of functions remain in the difference, such as the bits of a sum, they are
    tabulated together over what those functions read, the newest first. Else the difference is
    tabulated over all that it depends on, if that has few values.
    """
    difference = _reduced(forms.total([(1, a), (-1, b)]), modulus)
    seen: set[Form] = set()
    while difference.terms and difference not in seen and forms.fits(difference):
        seen.add(difference)
        step = _newest(forms, difference)
        finer = forms.rewritten(difference, *step, modulus) if step else None
        if finer is None:
            break
        difference = _separated(forms, _reduced(finer, modulus), modulus)
    if difference.terms and forms.fits(difference):
        inputs: list[Terms] = sorted(((atom, 1),) for atom in forms.inputs(difference))
        numbers = [number for number, _ in difference.terms]
        whole = forms.rewritten(difference, inputs, numbers, modulus)
        difference = difference if whole is None else _reduced(whole, modulus)
    return not difference.terms and difference.constant == 0


def _reduced(form: Form, modulus: int) -> Form:
    if not modulus:
        return form
    terms = ((atom, factor % modulus) for atom, factor in form.terms)
    return Form(tuple(term for term in terms if term[1]), form.constant % modulus)


def _newest(forms: Forms, form: Form) -> tuple[list[Terms], list[int]] | None:
    """The functions in a sum that read the newest function, and the variables beneath it; None if
    no function reads another one.
    """
    functions = {n: own for n, _ in form.terms if (own := forms.function(n))}
    read = {own for function in functions.values() for own in function.directions}
    newest = max((own for own in read if forms.directions(own)), default=None)
    if newest is None:
        return None
    beneath = forms.directions(newest)
    using = [own.directions for own in functions.values() if newest in own.directions]
    union = {own for directions in using for own in directions}
    same = {own for own in union if forms.directions(own) == beneath}
    variables = (union - same) | set(beneath)
    known = variables | same
    return sorted(variables), [
        n for n, own in functions.items() if known.issuperset(own.directions)
    ]


def _separated(forms: Forms, form: Form, modulus: int) -> Form:
    """The form with functions that are sums modulo a number as these sums."""
    for number, _ in form.terms if modulus and forms.fits(form) else ():
        function = forms.function(number)
        if function is not None and number in dict(form.terms):
            own = forms.rewritten(form, function.directions, [number], modulus)
            form = form if own is None else _reduced(own, modulus)
    return form
