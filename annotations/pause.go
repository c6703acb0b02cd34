package annotations

import (
	"errors"
	"strconv"

	"autoscale.io/annotations/schema"
)

// PauseMode is the form of a pause.
type PauseMode string

// The forms of a pause. PauseOff is the zero value.
const (
	PauseOff      PauseMode = ""
	PauseHold     PauseMode = "true"
	PauseAt       PauseMode = "at"
	PauseScaleIn  PauseMode = "scale-in"
	PauseScaleOut PauseMode = "scale-out"
)

// Pause is the value of the pause annotation.
type Pause struct {
	Mode PauseMode
	// Replicas is the count of PauseAt, ≥ 0.
	Replicas int32
}

var _ schema.Parser = (*Pause)(nil)

// ParseValue accepts exactly true, false, scale-in, scale-out and whole numbers ≥ 0. Anything else is a fault: a pause that is misread
// either freezes a workload or releases it.
func (p *Pause) ParseValue(text string) error {
	switch text {
	case "false":
		*p = Pause{}
	case string(PauseHold), string(PauseScaleIn), string(PauseScaleOut):
		*p = Pause{Mode: PauseMode(text)}
	default:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return errors.New("want " + p.Syntax())
		}
		*p = Pause{Mode: PauseAt, Replicas: int32(n)}
	}
	return nil
}

// Syntax implements schema.Parser.
func (*Pause) Syntax() string { return "true, false, a number of replicas, scale-in or scale-out" }

// String is the annotation's text.
func (p Pause) String() string {
	switch p.Mode {
	case PauseOff:
		return "false"
	case PauseAt:
		return strconv.Itoa(int(p.Replicas))
	}
	return string(p.Mode)
}
