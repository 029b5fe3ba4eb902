package ignored

//otdbvet:ignore it has one

/* want `this exception has no reason and is not respected` */ //otdbvet:ignore

/* want `this exception has no reason` */ //otdbvet:ignore -

/* want `there is no //otdbvet:ingore` */ //otdbvet:ingore it was mistyped

// nolint
func f() {}
