// Package jobs makes Jobs of templates and knows those it has made: how many are unfinished, how many of them have not started, which have finished long
// ago.
//
// It owns the watch of these Jobs and their pods, their names and labels, and their creation and removal. What it has created counts from the moment of the
// creation, before any watch shows it, and what may have been created (a create that timed out) counts until it is known. It refuses to know why a Job is
// wanted, what a trigger is, and who tells people: a count that is not known is an error here, and never 0.
package jobs
