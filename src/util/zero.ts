/**
 * 0 for a field that will hold fractions. V8 keeps small integers and doubles under different shapes of an object: from a plain 0 the
 * first fraction makes a new shape, and whatever is compiled for the old one is thrown away. This one is a double: −0.
 */
export const ZERO: number = -0;
