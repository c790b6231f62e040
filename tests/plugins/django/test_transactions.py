"""An order added within `transaction.atomic()` exists exactly if Django's rows do."""

from __future__ import annotations

from plugins.django.conftest import Project


def test_atomic_block_commits_or_rolls_back_both(project: Project) -> None:
    project.run(
        """
        def place(name):
            Group.objects.create(name=name)
            add(name)
            assert name not in ids(), "it was committed by itself"
            Group.objects.create(name=name + " again")

        with transaction.atomic():
            place("kept")
        try:
            with transaction.atomic():
                place("lost")
                raise KeyError
        except KeyError:
            pass

        assert ids() == ["kept"], ids()
        assert sorted(Group.objects.values_list("name", flat=True)) == ["kept", "kept again"]
        assert connection.get_autocommit()
        assert not connection.in_atomic_block
        """
    )


def test_inner_block_that_fails_takes_only_its_order(project: Project) -> None:
    project.run(
        """
        with transaction.atomic():
            add("outer")
            try:
                with transaction.atomic():
                    add("inner")
                    raise KeyError
            except KeyError:
                pass
            Group.objects.create(name="outer")
        assert ids() == ["outer"]
        assert Group.objects.count() == 1
        """
    )


def test_outside_of_atomic_the_order_is_committed(project: Project) -> None:
    project.run(
        """
        stored = add("alone")
        assert add("alone") == stored
        assert ids() == ["alone"]
        """
    )


def test_manual_transaction_is_joined(project: Project) -> None:
    project.run(
        """
        transaction.set_autocommit(False)
        add("lost")
        transaction.rollback()
        add("kept")
        transaction.commit()
        assert ids() == ["kept"]
        """
    )


def test_refused_order_leaves_the_block_usable(project: Project) -> None:
    project.run(
        """
        from tillpost import OrderError

        add("first")
        other = order("first").model_copy(update={"code": "other"})
        with transaction.atomic():
            Group.objects.create(name="kept")
            try:
                tillpost_django.add(other, connection="cafe")
            except OrderError:
                pass
            else:
                raise AssertionError
            add("second")
        assert ids() == ["first", "second"]
        assert Group.objects.count() == 1
        """
    )


def test_failure_of_the_database_rolls_the_block_back(project: Project) -> None:
    """PostgreSQL would take the commit for a roll-back silently."""
    project.run(
        """
        from tillpost.outbox import DatabaseError

        tillpost_django.outbox().prepare()
        add("first")
        with transaction.atomic():
            Group.objects.create(name="lost")
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE tillpost_orders RENAME TO elsewhere")
            try:
                add("second")
            except DatabaseError:
                pass
            else:
                raise AssertionError
            try:
                Group.objects.count()
            except transaction.TransactionManagementError:
                pass
            else:
                raise AssertionError("the block goes on")
        assert Group.objects.count() == 0
        assert ids() == ["first"]
        """
    )


def test_broken_block_takes_no_order(project: Project) -> None:
    project.run(
        """
        with transaction.atomic():
            transaction.set_rollback(True)
            try:
                add("lost")
            except transaction.TransactionManagementError:
                pass
            else:
                raise AssertionError
        assert ids() == []
        """
    )


def test_connection_that_django_closed_is_opened_again(project: Project) -> None:
    project.run(
        """
        connection.close()
        with transaction.atomic():
            add("first")
        assert ids() == ["first"]
        """
    )
