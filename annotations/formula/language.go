package formula

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// maxList bounds a list in an expression.
const maxList = 32

// ofNumbers says whether a function takes numbers.
func ofNumbers(name string) bool {
	switch name {
	case "min", "max", "abs", "ceil", "floor", "round":
		return true
	}
	return false
}

// ofList says whether a function takes a list that stands in the expression.
func ofList(name string) bool {
	switch name {
	case "min", "max", "sum", "count", "any", "all":
		return true
	}
	return false
}

// isOperator says whether an operator takes numbers or truth values and gives one.
func isOperator(operator string) bool {
	switch operator {
	case "+", "-", "*", "/", "%", "**", "^", "==", "!=", "<", ">", "<=", ">=", "&&", "||", "and", "or", "??":
		return true
	}
	return false
}

// language is what the message of a refusal offers.
const language = "a formula has numbers, names of triggers, arithmetic, comparisons, and, or, not, ?:, ??, min, max, abs, ceil, floor and round, " +
	"and sum, count, any and all over a list such as [orders, payments]"

// check refuses what an allowlist does not hold, so that the cost of a formula is bounded by its length: every node is computed once, and
// those of one predicate at most maxList times, since a predicate holds no list. Strings, ranges, mappings, members, variables and calls of anything else are
// not in the list.
func check(node ast.Node) error { return checker{}.check(node) }

// checker knows where in the expression it is.
type checker struct {
	// inPredicate allows # and forbids lists.
	inPredicate bool
}

func (c checker) check(node ast.Node) error {
	switch n := node.(type) {
	case *ast.NilNode, *ast.IdentifierNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return nil
	case *ast.PointerNode:
		if c.inPredicate && n.Name == "" {
			return nil
		}
		return refusal("#" + n.Name + " outside of a list's predicate")
	case *ast.UnaryNode:
		return c.all(n.Node)
	case *ast.BinaryNode:
		if !isOperator(n.Operator) {
			return refusal("the operator " + n.Operator)
		}
		return c.all(n.Left, n.Right)
	case *ast.ConditionalNode:
		return c.all(n.Cond, n.Exp1, n.Exp2)
	case *ast.BuiltinNode:
		return c.call(n)
	case *ast.CallNode:
		if name, ok := n.Callee.(*ast.IdentifierNode); ok {
			return refusal("the function " + name.Value)
		}
		return refusal("a call of a value")
	}
	return refusal(kindOf(node))
}

func (c checker) all(nodes ...ast.Node) error {
	for _, node := range nodes {
		if err := c.check(node); err != nil {
			return err
		}
	}
	return nil
}

// call checks a function and its arguments.
func (c checker) call(n *ast.BuiltinNode) error {
	if !ofNumbers(n.Name) && !ofList(n.Name) {
		return refusal("the function " + n.Name)
	}
	if len(n.Arguments) == 0 {
		return refusal("the function " + n.Name + " without arguments")
	}
	if list, ok := n.Arguments[0].(*ast.ArrayNode); ok && ofList(n.Name) {
		return c.overList(n, list)
	}
	if ofNumbers(n.Name) {
		return c.all(n.Arguments...)
	}
	return refusal(fmt.Sprintf("the function %s over anything but a list that stands there", n.Name))
}

// overList checks a function over a list, and its predicate if it has one.
func (c checker) overList(n *ast.BuiltinNode, list *ast.ArrayNode) error {
	switch {
	case c.inPredicate:
		return refusal("a list within a list's predicate")
	case len(list.Nodes) > maxList:
		return fmt.Errorf("a list of %d is not allowed; want at most %d", len(list.Nodes), maxList)
	}
	if err := c.all(list.Nodes...); err != nil {
		return err
	}
	for _, argument := range n.Arguments[1:] {
		predicate, ok := argument.(*ast.PredicateNode)
		if !ok {
			return refusal(fmt.Sprintf("a second argument of %s", n.Name))
		}
		if err := (checker{inPredicate: true}).check(predicate.Node); err != nil {
			return err
		}
	}
	return nil
}

func refusal(what string) error { return fmt.Errorf("%s is not allowed; %s", what, language) }

// kindOf names what a formula may not hold.
func kindOf(node ast.Node) string {
	switch node.(type) {
	case *ast.StringNode, *ast.BytesNode:
		return "a text"
	case *ast.ArrayNode:
		return "a list that is not the argument of a function"
	case *ast.MapNode, *ast.PairNode:
		return "a mapping"
	case *ast.MemberNode, *ast.ChainNode, *ast.SliceNode:
		return "a part of a value"
	case *ast.VariableDeclaratorNode:
		return "let"
	case *ast.SequenceNode:
		return "a sequence of expressions"
	}
	kind := strings.TrimPrefix(fmt.Sprintf("%T", node), "*ast.")
	return "a " + strings.ToLower(strings.TrimSuffix(kind, "Node"))
}
