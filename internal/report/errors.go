package report

import "errors"

// userError marks an error that stays until a person changes a configuration.
type userError struct{ err error }

func (e *userError) Error() string { return e.err.Error() }
func (e *userError) Unwrap() error { return e.err }

// UserError marks an error of those who configured the job: to try again heals
// nothing. Nil stays nil.
func UserError(err error) error {
	if err == nil {
		return nil
	}
	return &userError{err}
}

// IsUserError tells whether an error was marked with UserError.
func IsUserError(err error) bool {
	var marked *userError
	return errors.As(err, &marked)
}
