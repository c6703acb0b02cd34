package annotations

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	goyaml "go.yaml.in/yaml/v3"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"autoscale.io/annotations/schema"
)

var _ schema.Parser = (*Behavior)(nil)

// Limits of the HorizontalPodAutoscaler's own validation.
const (
	maxStabilizationSeconds = 3600
	maxPeriodSeconds        = 1800
	// maxBehaviorBytes is ours: many times the largest sensible behavior.
	maxBehaviorBytes = 8 << 10
)

// ParseValue decodes the YAML strictly and applies the HPA's own limits.
func (b *Behavior) ParseValue(text string) error {
	parsed, problem := strictBehavior(text)
	if problem != "" {
		return fmt.Errorf("want %s (%s)", b.Syntax(), problem)
	}
	for _, direction := range []struct {
		name  string
		rules *autoscalingv2.HPAScalingRules
	}{{"scaleUp", parsed.ScaleUp}, {"scaleDown", parsed.ScaleDown}} {
		if direction.rules == nil {
			continue
		}
		if problem := rulesProblem(direction.rules); problem != "" {
			return errors.New("want " + direction.name + "." + problem)
		}
	}
	*b = Behavior(parsed)
	return nil
}

// String is the annotation's text: compact JSON, which is YAML.
func (b Behavior) String() string {
	data, err := json.Marshal(b)
	if err != nil {
		// The type holds only numbers, enumerations and quantities; this cannot fail.
		panic(err)
	}
	return string(data)
}

// Syntax implements schema.Parser.
func (*Behavior) Syntax() string { return "the behavior field of a HorizontalPodAutoscaler v2 in YAML" }

// strictBehavior decodes as the API server does under strict validation: no unknown field, no field in another case, none twice. It says what is
// wrong in one line.
func strictBehavior(text string) (parsed autoscalingv2.HorizontalPodAutoscalerBehavior, problem string) {
	if len(text) > maxBehaviorBytes {
		return parsed, fmt.Sprintf("it is longer than %d bytes", maxBehaviorBytes)
	}
	dec := goyaml.NewDecoder(strings.NewReader(text))
	var doc goyaml.Node
	if err := dec.Decode(&doc); err != nil || doc.Content[0].Kind != goyaml.MappingNode {
		return parsed, "it is no YAML mapping"
	}
	if err := dec.Decode(&doc); err != io.EOF {
		return parsed, "it is more than one YAML document"
	}
	data, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return parsed, lastLine(err)
	}
	strict, err := kjson.UnmarshalStrict(data, &parsed)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil && len(strict) == 0:
		return parsed, ""
	case err == nil:
		return parsed, unknownField(strict[0])
	case errors.As(json.Unmarshal(data, &parsed), &wrongType):
		return parsed, fmt.Sprintf("%s has the wrong type, %s", wrongType.Field, wrongType.Value)
	}
	return parsed, lastLine(err)
}

func unknownField(err error) string {
	var field kjson.FieldError
	if !errors.As(err, &field) {
		return err.Error()
	}
	name := field.FieldPath()
	known := []string{"scaleUp", "scaleDown", "stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance", "type", "value", "periodSeconds"}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if near := schema.Nearest(last, known); near != "" && near != last {
		return fmt.Sprintf("unknown field %s; did you mean %s?", schema.Plain(name), near)
	}
	return "unknown field " + schema.Plain(name)
}

// lastLine keeps an error of the YAML library on one line; the lines before the last are its heading.
func lastLine(err error) string {
	text := strings.TrimSpace(err.Error())
	text = strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	return strings.TrimPrefix(text, "yaml: ")
}

func rulesProblem(rules *autoscalingv2.HPAScalingRules) string {
	if s := rules.StabilizationWindowSeconds; s != nil && (*s < 0 || *s > maxStabilizationSeconds) {
		return fmt.Sprintf("stabilizationWindowSeconds ≥ 0 and ≤ %d", maxStabilizationSeconds)
	}
	if s := rules.SelectPolicy; s != nil && *s != autoscalingv2.MaxChangePolicySelect && *s != autoscalingv2.MinChangePolicySelect && *s != autoscalingv2.DisabledPolicySelect {
		return "selectPolicy Max, Min or Disabled"
	}
	if rules.Tolerance != nil && rules.Tolerance.Sign() < 0 {
		return "tolerance ≥ 0"
	}
	if rules.Policies != nil && len(rules.Policies) == 0 {
		return "policies with at least one policy, or none given"
	}
	for i, policy := range rules.Policies {
		if problem := policyProblem(policy); problem != "" {
			return fmt.Sprintf("policies[%d].%s", i, problem)
		}
	}
	return ""
}

func policyProblem(policy autoscalingv2.HPAScalingPolicy) string {
	switch {
	case policy.Type != autoscalingv2.PodsScalingPolicy && policy.Type != autoscalingv2.PercentScalingPolicy:
		return "type Pods or Percent"
	case policy.Value <= 0:
		return "value > 0"
	case policy.PeriodSeconds <= 0 || policy.PeriodSeconds > maxPeriodSeconds:
		return fmt.Sprintf("periodSeconds > 0 and ≤ %d", maxPeriodSeconds)
	}
	return ""
}
